"""The table of APIs: complete, rightly named, and cheap to import."""

import subprocess
import sys

import pytest
from core.wire.message_values import all_messages

from millstream.core.errors import WireError
from millstream.core.wire.apis import API_NAMES, REMOVED, ApiKey, request_class, response_class


def test_every_generated_request_and_response_is_found_by_its_key() -> None:
    generated = {cls for cls in all_messages() if cls.__module__.rpartition(".")[2].startswith("k")}
    by_key = {make(key) for key in ApiKey if key not in REMOVED for make in (request_class, response_class)}

    assert by_key == generated
    assert all(request_class(cls.API_KEY) is cls or response_class(cls.API_KEY) is cls for cls in generated)


def test_keys_have_kafkas_names() -> None:
    assert sorted(API_NAMES) == list(range(93))
    assert API_NAMES[ApiKey.INIT_PRODUCER_ID] == "InitProducerId"
    assert (ApiKey.PRODUCE, ApiKey.FETCH, ApiKey.LIST_OFFSETS, ApiKey.METADATA) == (0, 1, 2, 3)


def test_a_request_and_its_response_have_the_same_versions() -> None:
    for key in ApiKey:
        if key not in REMOVED:
            request, response = request_class(key), response_class(key)
            same = (request.MIN_VERSION, request.MAX_VERSION, request.FLEXIBLE_FROM)
            assert same == (response.MIN_VERSION, response.MAX_VERSION, response.FLEXIBLE_FROM), key.name


@pytest.mark.parametrize("key", [-1, 4, 5, 6, 7, 93, 32767])
def test_keys_without_messages_are_refused(key: int) -> None:
    with pytest.raises(WireError, match=f"no API with key {key}"):
        request_class(key)
    with pytest.raises(WireError, match=f"no API with key {key}"):
        response_class(key)


def test_the_table_imports_no_message_until_one_is_asked_for() -> None:
    code = (
        "import sys, millstream.core.wire.frames as f; "
        "print([m for m in sys.modules if '.messages.' in m]); f.request_class(3); "
        "print([m.rpartition('.')[2] for m in sys.modules if '.messages.' in m])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["[]", "['k03_metadata']"]
