"""Hostile text and JSON: class names, numbers, and bodies that are put together wrongly."""

import json
from typing import Any

from hypothesis import strategies as st

NAMES = [
    "", " ", "apple", "Äpfel", "リンゴ", "../../etc/passwd", "a/b", "a\\b", "C:\\Windows", ".",
    "..",
    "con", "NUL", "com1", "lpt0.txt", "a\0b", "a\nb", "a\r\nX-Header: b", "\x1b[31mred", "\x07",
    "a\u202eb", "\u2066a\u2069", "\u200b", "\ufeffapple", "\ud800", "a\udfffb", "x" * 41,
    "x" * 10_000, "\U0001f34e" * 40, "ß" * 40, "\u0390" * 14, "e" + "\u0301" * 39, "<b>apple</b>",
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{7*7}}", "${jndi:ldap://x}",
    "%s%n%x", "'; DROP TABLE images; --", "=1+1", "@SUM(A1)", "+1", "-1", "\t=1+1", "none of these",
    "none_of_these", "__proto__", "constructor", "undefined", "null", "NaN", "true", "0", "v0001",
    "v" + "9" * 10_000, "v0001\n", "%00", "%ff", "%2e%2e%2f", "\uff0e\uff0e\uff0f", "--", "'",
]  # fmt: skip

NUMBERS: list[Any] = [
    0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, -(10**30), 0.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), float("-inf"), True, None,
]  # fmt: skip

# What no library would write, as it would lie on the wire.
BROKEN_JSON = [
    b"", b" ", b"{", b"}", b"[", b"null", b"true", b"1", b'"text"', b"[]", b"[{}]", b"{]", b"{,}",
    b"{'a': 1}", b'{"a":}', b'{"a":1,}', b'{"a" 1}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}{}",
    b"\x00", b'{"a":"\xff"}', b'{"mode":"\\ud800"}', b'{"mode":"\\u0000"}',
    b'{"reason":"\\udc00x"}',
    b'{"after_images":' + b"9" * 5000 + b"}", b'{"after_images":1e999}', b'{"after_images":-1}',
    b'{"after_images":NaN}', b'{"mode":"quick","mode":"slow"}', b'{"mode":' + b"[" * 5000,
    b'{"mode":' + b"[" * 900 + b"]" * 900 + b"}", b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b'{"' + b"k" * 60_000 + b'":1}', b'{"mode":"' + b"x" * 63_000 + b'"}',
    b"{" + b",".join(b'"%d":1' % n for n in range(6000)) + b"}",
    b'{"mode":"' + b"x" * 200_000 + b'"}',
    b'{"cron":"0 0 31 2 *"}', b'{"cron":"* * * *"}', b'{"cron":"*/0 * * * *"}',
    b'{"cron":"0-0/9999999999 * * * *"}', b'{"cron":"\xd9\xa1 * * * *"}',
    b'{"cron":"60 24 32 13 8"}',
    b'{"session_hash":5,"data":[],"fn_index":1}', b'{"session_hash":{},"data":[],"fn_index":1}',
    b'{"data":null,"fn_index":1,"session_hash":"a"}',
    b'{"data":[],"fn_index":99999,"session_hash":"a"}',
    b'{"data":[],"fn_index":-1,"session_hash":"a"}', b'{"data":{},"session_hash":"a"}',
    b'{"data":[],"fn_index":"1","session_hash":"a"}',
    b'{"data":[],"fn_index":1.5,"session_hash":"a"}',
]  # fmt: skip


def names() -> st.SearchStrategy[str]:
    """Return a strategy for names that nobody should be called."""
    return st.one_of(st.sampled_from(NAMES), st.text(max_size=60))


def values() -> st.SearchStrategy[Any]:
    """Return a strategy for anything that JSON can say, and some that it cannot."""
    plain = st.one_of(st.sampled_from(NUMBERS), names())
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(NAMES[2:20]), inner, max_size=3),
        ),
        max_leaves=6,
    )


def written(value: Any) -> bytes:
    """Return the value as JSON, as a careless program would write it: with NaN and surrogates."""
    return json.dumps(value).encode()


def bodies(fields: list[str]) -> st.SearchStrategy[bytes]:
    """Return a strategy for bodies of a route that takes these fields."""
    chosen = st.dictionaries(
        st.sampled_from([*fields, "surprise", "__proto__"]), values(), max_size=4
    )
    return st.one_of(st.sampled_from(BROKEN_JSON), chosen.map(written), values().map(written))
