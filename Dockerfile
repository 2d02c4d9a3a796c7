# The serving image: `--target cpu` (the default) and `--target gpu` (ONNX Runtime's CUDA provider). Nothing of training
# is in it.
#
# Both classic `docker build` and BuildKit build it; it has no syntax line, which would pull an image of its own.
# Pin the base by digest for a release: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...
# Behind a mirror or a wheelhouse: --build-arg PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS, PIP_TRUSTED_HOST.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS builder
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/requirements-build.txt deploy/
# The environment has no pip of its own: the builder's installs into it, and none travels in it.
RUN pip install --no-deps -r deploy/requirements-build.txt \
    && python -m venv --without-pip /opt/venv
COPY requirements.txt deploy/requirements-gpu.txt ./

FROM builder AS project
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheel .

FROM builder AS builder-cpu
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
RUN pip --python /opt/venv/bin/python install --no-compile --no-deps -r requirements.txt
# The project comes last: a change of its code alone installs nothing else anew.
COPY --from=project /wheel /wheel
COPY deploy/seal-environment /usr/local/bin/
RUN seal-environment /opt/venv /wheel/*.whl \
    && cyclonedx-py environment --no-validate --output-reproducible --output-file /sbom.json /opt/venv/bin/python

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS base
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="LSTM and GRU text models served over HTTP on ONNX Runtime" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# A numeric user: Kubernetes' runAsNonRoot cannot judge a name.
RUN groupadd --gid 10001 sluice \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sluice
# The official builds of ONNX Runtime send usage events to their maker unless they are told not to.
ENV PATH=/opt/venv/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SLUICE_HOST=0.0.0.0 \
    SLUICE_PORT=8000 \
    SLUICE_MODELS_DIR=/app/models
WORKDIR /app
COPY LICENSE deploy/healthcheck.py ./
COPY models ./models
EXPOSE 8000
STOPSIGNAL SIGTERM
# The start period covers opening and warming up every package; a probe that succeeds ends it at once.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-S", "/app/healthcheck.py"]
ENTRYPOINT ["sluice"]
CMD ["serve"]

FROM base AS cpu
COPY --from=builder-cpu /opt/venv /opt/venv
COPY --from=builder-cpu /sbom.json /app/
USER 10001:10001

FROM builder AS builder-gpu
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST
# onnxruntime-gpu owns the same module as onnxruntime: one takes the place of the other, both together break each other.
RUN sed -i '/^onnxruntime==/d' requirements.txt \
    && pip --python /opt/venv/bin/python install --no-compile --no-deps -r requirements.txt -r requirements-gpu.txt
COPY --from=project /wheel /wheel
COPY deploy/seal-environment /usr/local/bin/
RUN seal-environment /opt/venv /wheel/*.whl \
    && cyclonedx-py environment --no-validate --output-reproducible --output-file /sbom.json /opt/venv/bin/python

FROM base AS gpu
# The driver comes from the host, through the NVIDIA container toolkit; CUDA and cuDNN come from wheels, whose folders
# the loader has to be told.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib:/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib \
    SLUICE_PROVIDER=cuda
COPY --from=builder-gpu /opt/venv /opt/venv
COPY --from=builder-gpu /sbom.json /app/
USER 10001:10001

# A build that names no target gets the CPU image, and with BuildKit the stages of the GPU image are left alone.
FROM cpu AS default
