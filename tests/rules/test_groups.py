"""Groups of every shape become one list of names, or nothing is known of them."""

import pytest

from gradienthub.rules.groups import Groups, clean_groups, too_many_to_list


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (["b", "a", "a"], ("a", "b")),
        ({"a", "b"}, ("a", "b")),
        ([{"name": "lab"}], ("lab",)),
        ([{"displayName": "Lab", "id": "9-9"}], ("Lab",)),
        ([{"id": "9-9"}, {"id": 12}], ("12", "9-9")),
        ([{"name": None, "id": "x"}, {"name": " ", "displayName": "y"}], ("x", "y")),
        ([{"roles": ["a"]}, {}, {"name": ["a"]}], ()),
        ([["a", ["b"]], "c"], ("a", "b", "c")),
        (["a", 3, None, True, 1.5, b"a", "", "  ", "x\0y", "\ud800", "n" * 256], ("a",)),
        ("pros", ()),
        (b"pros", ()),
        (7, ()),
        ({"name": "lab"}, ()),
        ([], ()),
        (None, None),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_each_shape_gives_the_names_in_it(said, names):
    assert clean_groups(said).names == names


def test_what_is_left_out_is_told():
    assert clean_groups(["a", 3, None]).trouble == "2 of them have no name"
    assert clean_groups("pros").trouble == "they are no list but str"


@pytest.mark.parametrize(
    "said",
    [
        [f"group-{i}" for i in range(100_000)],
        ["x" * 200 + str(i) for i in range(400)],
        [[[["a"] * 30_000]]],
    ],
    ids=["many", "long", "deep"],
)
def test_too_many_groups_are_unknown_and_not_none_at_all(said):
    assert clean_groups(said) == Groups(None, unknown=True, trouble="they are too many")


def test_a_list_that_holds_itself_ends():
    wheel: list = ["a"]
    wheel.append(wheel)
    assert clean_groups(wheel).names == ("a",)


@pytest.mark.parametrize(
    ("info", "key", "unknown"),
    [
        ({"_claim_names": {"groups": "src1"}}, "groups", True),
        ({"_claim_names": {"roles": "src1"}}, "realm.roles", True),
        ({"_claim_names": {"roles": "src1"}}, "groups", False),
        ({"_claim_names": "groups"}, "groups", False),
        ({"hasgroups": True}, "groups", True),
        ({"hasgroups": "true"}, "groups", True),
        ({"hasgroups": False, "groups": []}, "groups", False),
        ({}, "groups", False),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),
)
def test_a_provider_says_that_its_groups_are_too_many_to_list(info, key, unknown):
    assert too_many_to_list(info, key) is unknown
