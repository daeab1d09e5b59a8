"""The audit's words."""

import ast
from pathlib import Path

import gradienthub
from gradienthub.rules.action import Action

PACKAGE = Path(gradienthub.__file__).parent


def test_every_action_fits_its_column_and_is_written_somewhere():
    used = {
        node.attr
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Action"
    }
    assert used == set(Action.__members__)
    assert all(len(action) <= 32 for action in Action)
