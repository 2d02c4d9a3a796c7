"""Parquet files, by pyarrow, which is installed beside the service (``sluice[bulk]``) and never needed by it."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.corpus.block import MAX_ROWS, Block, Record, line_of
from app.errors import StartupError

ANSWER_TYPES = {
    "label": pa.string(),
    "score": pa.float64(),
    "scores": pa.map_(pa.string(), pa.float64()),
    "language": pa.string(),
    "truncated": pa.bool_(),
    "model": pa.string(),
    "version": pa.int64(),
}


class ParquetSource:
    """Rows of a Parquet file, a record batch at a time."""

    def __init__(self, path: Path, column: str) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowInvalid as broken:
            raise StartupError(f"{path.name} cannot be read as Parquet: {broken}") from broken
        self.total = self._file.metadata.num_rows
        self.columns = list(self._file.schema_arrow.names)
        self.position = 0
        self._column = column

    def blocks(self, skip: int) -> Iterator[Block]:
        """Yield the rows after the first ``skip``; row groups that are all done are not read."""
        groups, before = self._from(skip)
        self.position = before
        for batch in self._file.iter_batches(MAX_ROWS, row_groups=groups):
            left = batch.slice(max(0, skip - self.position))
            first = self.position + batch.num_rows - left.num_rows + 1
            self.position += batch.num_rows
            if left.num_rows:
                yield Block(first, [line_of(record, self._column) for record in left.to_pylist()], left)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _from(self, skip: int) -> tuple[list[int], int]:
        """Return the row groups that hold rows after the first ``skip``, and how many rows stand before them."""
        before, group = 0, 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if before + rows > skip:
                return list(range(group, self._file.num_row_groups)), before
            before += rows
        return [], before


class ParquetSink:
    """The rows with the answer's columns beside their own, which keep their types where the source is Parquet too."""

    def __init__(self, prefix: str) -> None:
        self._types = {prefix + name: kind for name, kind in ANSWER_TYPES.items()}

    def part(self, block: Block, kept: Sequence[int], answers: Sequence[Record]) -> bytes:
        """Return a Parquet file of the rows at ``kept``."""
        if block.whole is not None:
            table = pa.Table.from_batches([block.whole]).take(pa.array(kept, pa.int64()))
        else:
            table = pa.Table.from_pylist([block.lines[at].record for at in kept])
        for name, kind in self._types.items():
            values = [_value(answer[name], kind) for answer in answers]
            table = table.append_column(name, pa.array(values, kind))
        written = io.BytesIO()
        pq.write_table(table, written)
        return written.getvalue()

    def whole(self, parts: Sequence[Path], out: Path) -> None:
        """Write the parts as row groups of one file; their schemas are united where they differ."""
        schemas = [pq.read_schema(part) for part in parts]
        try:
            schema = pa.unify_schemas(schemas, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as broken:
            raise StartupError(
                f"a column changes its type within the file: {broken}; expected --output .jsonl"
            ) from broken
        with pq.ParquetWriter(out, schema) as writer:
            for part in parts:
                table = pq.read_table(part)
                missing = [field for field in schema if field.name not in table.schema.names]
                for field in missing:
                    table = table.append_column(field, pa.nulls(table.num_rows, field.type))
                writer.write_table(table.select(schema.names).cast(schema))


def _value(value: Any, kind: pa.DataType) -> Any:
    return list(value.items()) if pa.types.is_map(kind) else value
