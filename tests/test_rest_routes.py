"""Routing of methods and paths."""

from __future__ import annotations

import pytest

from serving.server.errors import RequestError
from serving.server.rest.routes import VersionTooLarge, find_route


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/models/m:predict", ("predict", "m", "", "")),
        ("POST", "/V1/Models/m/VERSIONS/12:classify", ("classify", "m", "12", "")),
        ("POST", "/v1/models/a%20b/labels/c%2Fd:regress", ("regress", "a b", "", "c/d")),
        ("GET", "/v1/models/m", ("status", "m", "", "")),
        ("GET", "/v1/models", ("status", "", "", "")),
        ("GET", "/v1/models/m/labels/l/metadata", ("metadata", "m", "", "l")),
        ("GET", "/v1/models/m/METADATA", ("metadata", "m", "", "")),
    ],
)
def test_routes(method, path, expected):
    route = find_route(method, path)
    assert (route.verb, route.model, route.version, route.label) == expected


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1/models/debug/model_name",
        "POST /v1/models",
        "GET /v1/models/foo:predict",
        "POST /v1/models/foo:predict?x=1",
        "POST /v1/models/foo/version/50:regress",
        "POST /v1/models/foo/versions/HELLO:regress",
        "POST /v1/models/foo/versions/-1:regress",
        "POST /v1/models/foo/metadata",
        "POST /v1/models/foo/label/some:regress",
        "POST /v1/models/foo/versions/50/labels/some:regress",
        "HEAD /v1/models/foo",
    ],
)
def test_unknown_urls(line):
    with pytest.raises(RequestError) as caught:
        find_route(*line.split()).spec()
    assert caught.value.details == f"Malformed request: {line}"


def test_versions_are_int64():
    largest = find_route("GET", f"/v1/models/m/versions/000{2**63 - 1}").spec()
    assert largest.version.value == 2**63 - 1
    for digits in (str(2**63), "9" * 5000):
        with pytest.raises(VersionTooLarge):
            find_route("GET", f"/v1/models/m/versions/{digits}").spec()
