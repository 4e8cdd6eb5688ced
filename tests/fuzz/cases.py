"""Strategies for every kind of hostile request, over every route of the program."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from app.rest import ROUTES
from tests.fuzz.archives import archive_strategy
from tests.fuzz.pictures import changed, edits, good_picture, picture_strategy
from tests.fuzz.texts import BROKEN_JSON, NAMES, bodies, names, values
from tests.fuzz.wire import BOUNDARY, Call, Case, File, form, part

PREDICT = "/api/predict"
UPLOAD = "/api/upload_retrain_data"
MULTIPART = b"multipart/form-data; boundary=" + BOUNDARY.encode()
JSON = (("content-type", b"application/json"),)
# A download would begin, in a process of its own; it is asked for once, and ended at once.
NOT_CALLED = "fetch"
_FIELDS = {
    "/api/schedule": ["cron", "after_images", "mode"],
    "/api/retrain": ["mode"],
    "/api/models/{version}/activate": ["override", "reason"],
}


def _queries() -> st.SearchStrategy[str]:
    option = st.tuples(
        st.sampled_from(["top_k", "explain", "dry_run", "class_name", "x" * 2000]),
        st.one_of(
            st.sampled_from(["0", "1", "-1", "9" * 5000, "٣", "²", "1.5", "true", "yes", "%00"]),
            names(),
        ),
    )
    return st.lists(option, max_size=3).map(
        lambda pairs: (
            "?" * bool(pairs)
            + "&".join(f"{name}={quote(value, errors='replace')}" for name, value in pairs)
        )
    )


def bare_pictures() -> st.SearchStrategy[Case]:
    """Pictures that are the body themselves."""
    kinds = [b"", b"image/png", b"image/svg+xml", b"application/octet-stream", b"IMAGE/JPEG; a=b",
             b"application/zip", b"text/html", b"\xff\xfe", b"image/" + b"x" * 5000]  # fmt: skip
    return st.builds(
        lambda picture, kind, query: Case(
            "picture as the body", picture[0], path=PREDICT + query,
            headers=(("content-type", kind),) if kind else (), body=picture[1],
        ),
        picture_strategy(),
        st.sampled_from(kinds[:2] * 4 + kinds),
        st.one_of(st.just(""), _queries()),
    )  # fmt: skip


def picture_forms() -> st.SearchStrategy[Case]:
    """One to three pictures or zips in a form, with names and options that are hostile too."""
    file = st.tuples(
        st.sampled_from(["file", "file", "file", "File", "file[]", ""]),
        names(),
        st.one_of(picture_strategy(), picture_strategy(), archive_strategy()),
    )
    option = st.tuples(st.sampled_from(["top_k", "explain", "file", "x"]), names())
    return st.builds(
        lambda files, options: Case(
            "pictures in a form", " + ".join(what for _, _, (what, _) in files), path=PREDICT,
            headers=(("content-type", MULTIPART),),
            body=form([(n, f, c) for n, f, (_, c) in files]
                      + [(n, None, v.encode("utf-8", "surrogatepass")) for n, v in options]),
        ),
        st.lists(file, min_size=1, max_size=3),
        st.lists(option, max_size=2),
    )  # fmt: skip


def uploads() -> st.SearchStrategy[Case]:
    """Photos and zips for classes that are no names."""
    file = st.tuples(names(), st.one_of(archive_strategy(), archive_strategy(), picture_strategy()))
    flag = st.sampled_from(["true", "false", "perhaps", "", "1"])
    return st.builds(
        lambda files, label, dry_run, relabel: Case(
            "photos to learn from",
            f"{' + '.join(what for _, (what, _) in files)} as {label[:40]!r}",
            path=UPLOAD, headers=(("content-type", MULTIPART),),
            body=form([("file", name, content) for name, (_, content) in files]
                      + [("class_name", None, label.encode("utf-8", "surrogatepass")),
                         ("dry_run", None, dry_run.encode()), ("relabel", None, relabel.encode())]),
        ),
        st.lists(file, min_size=1, max_size=3), st.one_of(names(), st.just("apple")), flag, flag,
    )  # fmt: skip


def _lying_forms() -> list[tuple[str, bytes, bytes]]:
    """Return forms that are put together wrongly: in what way, content type, body."""
    picture = good_picture()
    good = form([("file", "a.png", picture)])
    mark = BOUNDARY.encode()
    disposition = b"--" + mark + b'\r\nContent-Disposition: form-data; name="file"; filename="a"'
    end = b"\r\n\r\nx\r\n--" + mark + b"--\r\n"
    kinds = {
        "no boundary": b"multipart/form-data",
        "an empty boundary": b"multipart/form-data; boundary=",
        "a boundary of quotes": b'multipart/form-data; boundary="',
        "another boundary": b"multipart/form-data; boundary=other",
        "a boundary of 5,000": b"multipart/form-data; boundary=" + b"b" * 5000,
        "two boundaries": MULTIPART + b"; boundary=other",
        "a boundary in latin-1": b"multipart/form-data; boundary=\xff\xfe",
        "multipart/mixed": b"multipart/mixed; boundary=" + mark,
        **{
            f"charset {charset}": MULTIPART + f"; charset={charset}".encode()
            for charset in ("undefined", "idna", "punycode", "utf-7", "unicode_escape", "hex",
                            "utf-16", "rot13", "none-such", "utf-8", "mbcs", "..", "x" * 2000)
        },
    }  # fmt: skip
    odd = {
        "no part": b"--" + mark + b"--\r\n",
        "nothing": b"",
        "only the first line": b"--" + mark,
        "without an end": good[:-8],
        "junk before": b"junk" * 1000 + good,
        "junk behind": good + b"junk" * 1000,
        "lines of LF only": good.replace(b"\r\n", b"\n"),
        "no name": b"--" + mark + b"\r\nContent-Disposition: form-data" + end,
        "no disposition": b"--" + mark + b"\r\nContent-Type: image/png" + end,
        "a header without a colon": b"--" + mark + b"\r\nContent-Disposition" + end,
        "a header of 1 MB": disposition + b"\r\nX: " + b"y" * 1_000_000 + end,
        "10,000 headers": disposition + b"\r\nX: y" * 10_000 + end,
        "a name of 1 MB": form([("file", "n" * 1_000_000, picture)]),
        "a name that is escaped": disposition.replace(b'"a"', b'"\\ud800\\x00"') + end,
        "a name with a null": disposition.replace(b'"a"', b'"a\x00b.png"') + end,
        "an extended name": disposition + b"; filename*=utf-8''%ff%fe%00.png" + end,
        "a name of bytes": disposition.replace(b'"a"', b'"\xff\xfe\xed\xa0\x80"') + end,
        "base64 that is claimed": disposition + b"\r\nContent-Transfer-Encoding: base64" + end,
        "a form within a form": disposition + b"\r\nContent-Type: multipart/mixed; boundary=b"
        + end,
        "2,000 fields": form([(f"f{n}", None, b"x") for n in range(2000)]),
        "500 files": form([("file", f"{n}.png", b"x") for n in range(500)]),
        "a field of 2 MB": form([("class_name", None, b"x" * 2_000_000), ("file", "a", picture)]),
        "the class as a file": form([("class_name", "a.png", picture), ("file", "a", picture)]),
        "options as files": form([("top_k", "a", b"1"), ("dry_run", "b", b"1"),
            ("file", "a", b"")]),
        "the file as text": form([("file", None, picture)]),
        "8 MB": form([("file", "a.png", bytes(8_000_000))]),
        "a part that is cut": part("file", "a.png", picture)[:200],
    }  # fmt: skip
    return [(what, kind, good) for what, kind in kinds.items()] + [
        (what, MULTIPART, body) for what, body in odd.items()
    ]


def broken_forms(paths: list[str], kind: str) -> st.SearchStrategy[Case]:
    """Forms that no program writes, as they are or changed further."""
    return st.builds(
        lambda lie, path, changes: Case(
            kind, lie[0], path=path, headers=(("content-type", lie[1]),),
            body=changed(lie[2], changes),
        ),
        st.sampled_from(_lying_forms()),
        st.sampled_from(paths),
        st.one_of(st.just([]), st.just([]), edits),
    )  # fmt: skip


def json_bodies() -> st.SearchStrategy[Case]:
    """Bodies of JSON, or of what should be, for every route that reads or ignores one."""
    routes = [
        (template, method)
        for template, methods in ROUTES.items()
        for method in methods.split(", ")
        if method != "GET" and template not in (PREDICT, UPLOAD) and NOT_CALLED not in template
    ]
    kinds = [b"application/json"] * 8 + [b"", b"text/plain", b"application/json; charset=utf-16"]
    return st.sampled_from(routes).flatmap(
        lambda route: st.builds(
            lambda path, body, kind: Case(
                "json", f"{body[:60]!r}", route[1], path, (("content-type", kind),), body
            ),
            _path_of(route[0]),
            bodies(_FIELDS.get(route[0], ["a"])),
            st.sampled_from(kinds),
        )
    )


def _path_of(template: str) -> st.SearchStrategy[str]:
    """Return a strategy for paths of a route, whose parameters are hostile."""
    pieces = template.split("/")
    given = st.one_of(
        st.sampled_from(["1", "0", "-1", "9" * 12, "9" * 13, "9" * 5000, "\u0661", "1.0", "1e3",
            "0x1",
                         "v0001", "v0000", "v" + "9" * 300, "v" + "1" * 4000, "..", "%2e%2e%2f",
                         "%00", "v0001%0a", "%ff%fe", "v0001%2f..%2f..", "a" * 8000]),
        names().map(lambda name: quote(name, safe="", errors="replace") or "x"),
    )  # fmt: skip
    return st.tuples(*(given if piece.startswith("{") else st.just(piece) for piece in pieces)).map(
        "/".join
    )


def paths() -> st.SearchStrategy[Case]:
    """Every route with every method, paths that are none, and hostile queries."""
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]
    others = ["/api", "/api/", "/api//", "/api/health/", "/api/./health", "/api/../api/health",
              "/api/%2e%2e/%2e%2e/etc/passwd", "/api/" + "a/" * 3000, "/api/<script>alert(1)",
              "/api/health;a=b", "/api/health%00", "/api/health?" + "a=b&" * 5000, "/metrics",
              "/openapi.json", "/docs", "/config", "/"]  # fmt: skip
    templates = [template for template in ROUTES if NOT_CALLED not in template]
    return st.builds(
        lambda method, path, query: Case("path and query", path[:60], method, path + query),
        st.sampled_from(methods),
        st.one_of(
            st.sampled_from(templates).flatmap(_path_of), st.sampled_from(others),
            names().map(lambda name: "/api/" + quote(name, errors="replace")),
        ),
        st.one_of(st.just(""), _queries()),
    ).filter(lambda case: (case.method, case.path[:9]) != ("GET", "/api/none"))  # fmt: skip


def raw_requests(host: bytes) -> st.SearchStrategy[Case]:
    """Requests that break HTTP itself, or bend it."""
    post = b"POST /api/predict HTTP/1.1\r\nhost: " + host + b"\r\n"
    get = b"GET /api/health HTTP/1.1\r\nhost: " + host + b"\r\n"
    close = b"connection: close\r\n\r\n"
    raws = {
        "a length that is too large": post + b"content-length: 500000\r\n" + close + b"x",
        "a length that is too small": post + b"content-length: 3\r\n" + close + b"abcdef",
        "a length of 5,000 digits": post + b"content-length: " + b"9" * 5000 + b"\r\n" + close,
        "a length of 30 digits": post + b"content-length: " + b"9" * 30 + b"\r\n" + close,
        "a negative length": post + b"content-length: -1\r\n" + close,
        "a length that is no number": post + b"content-length: abc\r\n" + close,
        "two lengths": post + b"content-length: 3\r\ncontent-length: 5\r\n" + close + b"abcde",
        "a length and chunks": post + b"content-length: 3\r\ntransfer-encoding: chunked\r\n" + close
        + b"3\r\nabc\r\n0\r\n\r\n",
        "chunks": post + b"transfer-encoding: chunked\r\n" + close + b"3\r\nabc\r\n0\r\n\r\n",
        "chunks that end early": post + b"transfer-encoding: chunked\r\n" + close + b"ff\r\nabc",
        "a chunk that is no number": post + b"transfer-encoding: chunked\r\n" + close
        + b"zz\r\nabc",
        "a chunk of 2^64": post + b"transfer-encoding: chunked\r\n" + close + b"f" * 17
        + b"\r\nabc",
        "10,000 chunks": post + b"transfer-encoding: chunked\r\n" + close + b"1\r\nx\r\n" * 10_000
        + b"0\r\n\r\n",
        "an unknown encoding": post + b"transfer-encoding: gzip\r\n" + close,
        "packed": post + b"content-encoding: gzip\r\ncontent-length: 3\r\n" + close
        + b"\x1f\x8b\x08",
        "expect": post + b"expect: 100-continue\r\ncontent-length: 1\r\n" + close + b"x",
        "a header of 60 kB": get + b"x: " + b"y" * 60_000 + b"\r\n" + close,
        "a header of 2 MB": get + b"x: " + b"y" * 2_000_000 + b"\r\n" + close,
        "5,000 headers": get + b"x: y\r\n" * 5000 + close,
        "a header without a colon": get + b"nonsense\r\n" + close,
        "a folded header": get + b"x: y\r\n z\r\n" + close,
        "a null in a header": get + b"x: a\x00b\r\n" + close,
        "no host": b"GET /api/health HTTP/1.1\r\n" + close,
        "two hosts": get + b"host: other\r\n" + close,
        "http 1.0": b"GET /api/health HTTP/1.0\r\n\r\n",
        "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "http 9.9": b"GET /api/health HTTP/9.9\r\n\r\n",
        "no http": b"hello\r\n\r\n",
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        "nothing": b"",
        "a method of 5,000": b"A" * 5000 + b" /api/health HTTP/1.1\r\n" + close,
        "a path of 70 kB": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: a\r\n" + close,
        "a path of bytes": b"GET /api/\xff\xfe HTTP/1.1\r\nhost: a\r\n" + close,
        "a whole address": b"GET http://other/api/health HTTP/1.1\r\nhost: a\r\n" + close,
        "a star": b"OPTIONS * HTTP/1.1\r\nhost: a\r\n" + close,
        "an upgrade": get + b"upgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    }  # fmt: skip
    hosts = [
        b"[",
        b"[::1",
        b"a b",
        b"\xff",
        b"a:b:c",
        b"a:99999999",
        b"<script>",
        b"x" * 9000,
        b"@a",
    ]
    heads = [
        "host",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-for",
        "x-request-id",
        "cookie",
        "authorization",
        "content-type",
        "accept",
        "origin",
        "referer",
        "range",
    ]
    targets = ["/api/none-such", "/api/health", "/", "/config", "/gradio_api/info", "/metrics"]
    headed = st.builds(
        lambda name, value, path: Case(
            "http", f"{name}: {value[:40]!r}", "GET", path, ((name, value),)
        ),
        st.sampled_from(heads),
        st.one_of(
            st.sampled_from(hosts),
            st.binary(max_size=40).map(lambda b: b.translate(None, b"\r\n\0")),
            st.sampled_from([n.encode("utf-8", "replace") for n in NAMES if n.isprintable()]),
        ),
        st.sampled_from(targets),
    )
    broken = st.builds(
        lambda what, changes: Case("http", what, raw=changed(raws[what], changes)),
        st.sampled_from(sorted(raws)),
        st.one_of(st.just([]), edits),
    ).filter(lambda case: b"fetch" not in (case.raw or b""))
    return st.one_of(broken, headed)


def calls(config: dict[str, Any]) -> st.SearchStrategy[Case]:
    """Calls of every function of the page, the private ones too, with arguments of any kind."""
    components = {component["id"]: component for component in config["components"]}
    functions = [
        function
        for function in config["dependencies"]
        if function["backend_fn"] and NOT_CALLED not in str(function["api_name"])
    ]
    return st.sampled_from(functions).flatmap(
        lambda function: st.builds(
            lambda data, by_name, much: Case(
                "call of the page",
                f"{function['api_name'] or function['id']}({str(data)[:80]})",
                call=Call(
                    function["id"],
                    str(function["api_name"] or "") if by_name and _is_public(function) else "",
                    (*data, *much),
                ),
            ),
            st.tuples(*(_argument(components[number]) for number in function["inputs"])),
            st.booleans(),
            st.one_of(st.just(()), st.just(()), st.just(()), st.tuples(values())),
        )
    )


def _is_public(function: dict[str, Any]) -> bool:
    return function["api_visibility"] == "public"


def _argument(component: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for what a component may be given: often of its kind, and often not."""
    several = component["props"].get("file_count") == "multiple"
    file = st.builds(
        lambda name, content: File(name, content[1], several),
        st.one_of(names(), st.sampled_from(["a.zip", "a.png", "a.ZIP", "a.heic"])),
        st.one_of(archive_strategy(), picture_strategy()),
    )
    lie = st.sampled_from(
        [
            {"path": path, "url": url, "meta": {"_type": "gradio.FileData"}}
            for path in ("/etc/passwd", "../../etc/passwd", "", "a\0b", "x" * 5000, None, 5,
                         "http://127.0.0.1:9/a.png", "file:///etc/passwd", "\ud800")
            for url in (None, "http://127.0.0.1:9/a.png", "file:///etc/passwd")
        ]
    )  # fmt: skip
    choices = [value for _, value in component["props"].get("choices") or []]
    if component["type"] in ("dropdown", "radio") and choices:
        return st.one_of(st.sampled_from(choices), st.sampled_from(choices), names(), values())
    fitting = {
        "file": st.one_of(file, file, file, lie),
        "image": st.one_of(file, file, file, lie),
        "number": st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 1e308, None, 0.5]),
        "checkbox": st.booleans(),
        "checkboxgroup": st.lists(names(), max_size=3),
        "textbox": names(),
        "dropdown": names(),
        "radio": st.one_of(st.sampled_from(["quick", "thorough", "hour"]), names()),
        "state": st.one_of(st.just(None), values()),
    }.get(component["type"], values())
    return st.one_of(fitting, fitting, fitting, values())


def gradio_requests() -> st.SearchStrategy[Case]:
    """Bodies, paths and queries of Gradio's own routes, put together wrongly."""
    posts = ["queue/join", "call/predict", "call/upload_retrain_data", "call/none",
        "call/v2/predict",
             "run/predict", "run/job", "run/none", "api/predict", "api/set_schedule", "cancel",
             "reset", "component_server", "process_recording", "stream/a", "stream/a/close",
             "vibe-edit", "queue/join/", "none"]  # fmt: skip
    gets = ["queue/data?session_hash=none", "queue/data", "call/predict/none", "info", "config",
            "file=/etc/passwd", "file=../../etc/passwd", "file=%00", "file=" + "a" * 5000,
            "file=http://127.0.0.1:9/", "proxy=http://127.0.0.1:9/", "upload_progress?upload_id=a",
            "heartbeat", "deep_link?session_hash=a", "custom_component/a/client/b/c", "app_id",
            "token", "startup-events", "openapi.json", "queue/status", "login_check",
            "stream/a/b/c/playlist.m3u8", "vibe-code", "runs", "none", "dev/reload"]  # fmt: skip
    fields = ["data", "fn_index", "session_hash", "event_data", "event_id", "trigger_id",
              "simple_format", "batched", "request", "component_id", "fn_name"]  # fmt: skip
    kinds = [b"application/json"] * 6 + [b"text/plain", b"", MULTIPART]
    named = st.fixed_dictionaries(
        {"data": values()},
        optional={name: values() for name in fields[1:]},
    ).map(lambda body: json.dumps(body).encode())
    posted = st.builds(
        lambda name, body, kind: Case(
            "gradio's routes", f"{name} {body[:60]!r}", "POST", f"/gradio_api/{name}",
            (("content-type", kind),), body,
        ),
        st.sampled_from(posts),
        st.one_of(bodies(fields), named, st.sampled_from(BROKEN_JSON), st.just(b"x" * 3_000_000)),
        st.sampled_from(kinds),
    )  # fmt: skip
    asked = st.builds(
        lambda name, method: Case("gradio's routes", name[:60], method, f"/gradio_api/{name}"),
        st.one_of(
            st.sampled_from(gets),
            names().map(lambda name: "file=" + quote(name, errors="replace")),
        ),
        st.sampled_from(["GET", "GET", "GET", "HEAD", "DELETE"]),
    )
    return st.one_of(posted, posted, asked)


def all_kinds(
    config: dict[str, Any], host: bytes
) -> dict[str, tuple[st.SearchStrategy[Case], int]]:
    """Return, by kind, the strategy and how many of a hundred cases it gets."""
    return {
        "picture as the body": (bare_pictures(), 20),
        "pictures in a form": (picture_forms(), 14),
        "photos to learn from": (uploads(), 12),
        "form, malformed": (broken_forms([PREDICT, UPLOAD], "form, malformed"), 9),
        "json": (json_bodies(), 10),
        "path and query": (paths(), 8),
        "http": (raw_requests(host), 7),
        "upload to the page": (
            broken_forms(["/gradio_api/upload", "/gradio_api/upload?upload_id=a"],
                         "upload to the page"), 3,
        ),
        "call of the page": (calls(config), 12),
        "gradio's routes": (gradio_requests(), 5),
    }  # fmt: skip
