"""Every public name of the Python package says what it is: modules, classes, functions, and what classes define. What is
generated (poold.v1) is documented by its .proto."""

import importlib
import inspect
import pkgutil
import unittest

import python_pool  # finds the package

import poold

assert python_pool.PACKAGE


def modules():
    """All that are not private, those below private ones neither."""
    for found in pkgutil.walk_packages(poold.__path__, "poold."):
        parts = found.name.split(".")
        if any(part.startswith("_") for part in parts) or "v1" in parts:
            continue
        try:
            yield importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name != "joblib":
                raise


def public_names(module):
    """What it defines or gives out: name, object."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        value = getattr(module, name)
        if inspect.ismodule(value) or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        home = getattr(value, "__module__", None) or ""
        if home.split(".")[0] == "poold" and not home.startswith("poold.v1."):
            yield f"{module.__name__}.{name}", value


def members(where, owner):
    """What a class defines by itself: name, what has the docstring."""
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if inspect.isroutine(value) or isinstance(value, property):
            yield f"{where}.{name}", value


def undocumented():
    missing, seen = [], 0
    for module in modules():
        if not module.__doc__:
            missing.append(module.__name__)
        for name, value in public_names(module):
            entries = [(name, value), *(members(name, value) if inspect.isclass(value) else ())]
            seen += len(entries)
            missing += [entry for entry, what in entries if not says(what)]
    return missing, seen


def says(value):
    """A docstring of its own, which a class has not from its base."""
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    # A dataclass without one gets its signature.
    return bool(text) and not (inspect.isclass(value) and text.startswith(value.__name__ + "("))


class Docstrings(unittest.TestCase):
    def test_every_public_name_has_one(self):
        missing, seen = undocumented()
        self.assertGreater(seen, 300)
        self.assertEqual(missing, [])

    def test_every_name_that_is_given_out_is_there(self):
        for module in modules():
            for name in getattr(module, "__all__", ()):
                with self.subTest(f"{module.__name__}.{name}"):
                    self.assertTrue(hasattr(module, name))

    def test_one_without_is_noticed(self):
        class Bare:
            """Itself, but not what it does."""

            def does(self):
                pass

            @property
            def is_there(self):
                return True

        self.assertEqual([name for name, value in members("Bare", Bare) if not says(value)], ["Bare.does", "Bare.is_there"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
