"""Version 1 brings raw English and Penn Treebank tokens to the same words; version 2 cuts Chinese into characters.

Versions 3 and 4 do likewise for models that write, with "▁" where white space stood.
"""

import pytest

from app.modelpack.normalize import normalization, versions


def words(text: str, version: int = 1) -> list[str]:
    known = normalization(version)
    return [word for word, _ in known.pre_tokenizer.pre_tokenize_str(known.normalizer.normalize_str(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't", ["i", "do", "n't"]),
        ("i do n't", ["i", "do", "n't"]),
        ("DON’T", ["do", "n't"]),
        ("can't ca n't cannot", ["ca", "n't", "ca", "n't", "cannot"]),
        ("It's it 's", ["it", "'s", "it", "'s"]),
        ("cant want different", ["cant", "want", "different"]),
        ("great!!! :-(", ["great", "!!!", ":-("]),
        ("8/10", ["8", "/", "10"]),
        ("a<br /><br/>b", ["a", "b"]),
        ("see https://x.y/z?q now", ["see", "url", "now"]),
        ("@bob hi a@b.c", ["@", "user", "hi", "a", "@", "b", ".", "c"]),
        ("``quoted''", ['"', "quoted", '"']),
        ("won\u200bder", ["wonder"]),
        ("ＦＵＬＬ", ["full"]),
        ("😀😀", ["😀", "😀"]),
        ("cafe\u0301", ["café"]),
    ],
)
def test_text_becomes_these_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我在画画", ["我", "在", "画", "画"]),
        ("iPhone15真好用,256GB够了", ["iphone", "15", "真", "好", "用", ",", "256", "gb", "够", "了"]),
        ("太好了！！！", ["太", "好", "了", "!!!"]),
        ("什么?!……～～", ["什", "么", "?", "!", "......", "~~"]),
        ("“好”‘坏’", ['"', "好", '"', "'", "坏", "'"]),
        ("#话题#[哈哈]", ["#", "话", "题", "#", "[", "哈", "哈", "]"]),
        ("看http://t.cn/AbC1，good", ["看", "url", ",", "good"]),
        ("看 HTTP://t.cn/AbC1真好", ["看", "url", "真", "好"]),
        ('"www.a.com">。', ['"', "url", '"', ">", "。"]),
        ("转发@小明_a-1:哈哈", ["转", "发", "@", "user", ":", "哈", "哈"]),
        ("＠我爱-Beijing 好", ["@", "user", "好"]),
        ("信箱a.b@c.com", ["信", "箱", "a", ".", "b", "@", "c", ".", "com"]),
        ("@" + "长" * 31, ["@", *"长" * 31]),
        ("@啊", ["@", "啊"]),
        ("😀😀👍🏽🇨🇳❤️", ["😀", "😀", "👍🏽", "🇨🇳", "❤"]),
        ("繁體字臺灣", ["繁", "體", "字", "臺", "灣"]),
        ("ラーメン 한국", ["ラ", "ー", "メ", "ン", "한", "국"]),
        ("二〇二六 𠮷", ["二", "〇", "二", "六", "𠮷"]),
        ("ＡＢＣ１２３", ["abc", "123"]),
        ("привет cafe\u0301", ["привет", "café"]),
        ("好<br/>吃", ["好", "吃"]),
        ("好\u200b吃\x00了\u3000吧\n", ["好", "吃", "了", "吧"]),
        ("", []),
    ],
)
def test_mixed_text_becomes_these_pieces(text: str, expected: list[str]) -> None:
    assert words(text, version=2) == expected


def test_an_unknown_version_is_no_version() -> None:
    assert versions() == [1, 2, 3, 4]
    with pytest.raises(KeyError):
        normalization(99)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's it 's", ["▁it", "'s", "▁it", "'s"]),
        ("They do n't know , he said .", ["▁they", "▁don", "'t", "▁know", ",", "▁he", "▁said", "."]),
        ("Tom: hi :)\r\n\n  Ann: $ 10!!!", ["▁tom", ":", "▁hi", "▁:", ")", "\n", "▁ann", ":", "▁$", "▁10", "!!!"]),
        ("( cnn ) -- 35 miles", ["▁(", "cnn", ")", "▁--", "▁35", "▁miles"]),
        ("a <s> b", ["▁a", "▁<", "s", ">", "▁b"]),
        ("won\u200bder\u2581x", ["▁wonder", "▁x"]),
    ],
)
def test_english_pieces_join_to_text_again(text: str, expected: list[str]) -> None:
    assert words(text, version=3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("苹果 iPhone 6 发布，", ["苹", "果", "iphone", "▁6", "发", "布", "，"]),
        (" 第一行 \n Apple Inc. 2 x", ["第", "一", "行", "\n", "apple", "▁inc", ".", "▁2", "▁x"]),
        ("“好”！！", ["“", "好", "”", "！！"]),
    ],
)
def test_chinese_pieces_keep_white_space_between_other_scripts_alone(text: str, expected: list[str]) -> None:
    assert words(text, version=4) == expected
