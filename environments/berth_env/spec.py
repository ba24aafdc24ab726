"""environment.yml, checked: every fault with its line."""

import re
from dataclasses import dataclass, field

from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from .report import BuildError

LIMIT = 60 * 1024  # bytes of a file
KEYS = ("name", "channels", "dependencies", "variables", "prefix")
PIP_OPTIONS = ("--index-url", "--extra-index-url", "--find-links")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a variable of an environment must not set: it would reach programs outside the environment too.
FORBIDDEN_VARIABLES = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "BASH_ENV", "ENV", "IFS",
                       "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "JUPYTER_TOKEN", "JUPYTER_PATH"}


@dataclass
class Entry:
    text: str
    line: int


@dataclass
class Spec:
    channels: list = field(default_factory=list)      # of Entry
    dependencies: list = field(default_factory=list)  # of Entry
    pip: list = field(default_factory=list)           # of Entry
    variables: dict = field(default_factory=dict)
    warnings: list = field(default_factory=list)


def nearest(word, known):
    import difflib
    close = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"


class _Checker:
    def __init__(self):
        self.faults = []
        self.spec = Spec()

    def fault(self, node, what):
        self.faults.append((node.start_mark.line + 1, what))

    def scalar(self, node, what):
        """The text of a scalar node, or None after a fault."""
        if not isinstance(node, ScalarNode):
            self.fault(node, f"{what} must be a text, not a {'mapping' if isinstance(node, MappingNode) else 'list'}")
            return None
        return node.value

    def items(self, node, what):
        if isinstance(node, ScalarNode) and node.value in ("", "null", "~"):
            return []
        if isinstance(node, SequenceNode):
            return node.value
        self.fault(node, f"{what} must be a list: each entry on a line of its own, after '- '")
        return []

    def document(self, node):
        if not isinstance(node, MappingNode):
            self.fault(node, "an environment.yml is a mapping with 'channels:' and 'dependencies:'")
            return
        seen = {}
        for key, value in node.value:
            name = self.scalar(key, "a key")
            if name is None:
                continue
            if name in seen:
                self.fault(key, f"'{name}:' stands here twice (first in line {seen[name]})")
            elif name not in KEYS:
                self.fault(key, f"unknown key '{name}'{nearest(name, KEYS[:4])}")
            else:
                getattr(self, name)(value)
            seen[name] = key.start_mark.line + 1
        if not self.spec.dependencies and not self.faults:
            self.fault(node, "no 'dependencies:': name at least one package")

    def name(self, node):
        self.scalar(node, "'name'")  # the name that was asked for counts

    def prefix(self, node):
        self.spec.warnings.append(f"line {node.start_mark.line + 1}: 'prefix:' is ignored")

    def channels(self, node):
        for item in self.items(node, "'channels'"):
            text = self.scalar(item, "a channel")
            if text is None:
                continue
            if not text.strip() or any(c.isspace() for c in text):
                self.fault(item, f"'{text}' is not a channel")
            elif "@" in text.split("://", 1)[-1].split("/", 1)[0] or "/t/" in text:
                self.fault(item, "a channel with a password or token in it; ask your administrator to set up its credentials")
            else:
                self.spec.channels.append(Entry(text.strip(), item.start_mark.line + 1))

    def dependencies(self, node):
        for item in self.items(node, "'dependencies'"):
            if isinstance(item, MappingNode):
                self.pip_section(item)
                continue
            text = self.scalar(item, "a dependency")
            if text is None:
                continue
            try:
                MatchSpec(text, strict=False)
                self.spec.dependencies.append(Entry(text, item.start_mark.line + 1))
            except (InvalidMatchSpecError, ValueError, TypeError) as error:
                self.fault(item, f"'{text}' is not a package with a version such as 'numpy >=1.26': {first_line(error)}")
            except Exception as error:  # other errors of the parser: a bad name, a bad version
                self.fault(item, f"'{text}' is not a package with a version: {first_line(error)}")

    def pip_section(self, node):
        for key, value in node.value:
            if self.scalar(key, "a key") != "pip":
                self.fault(key, f"unknown key '{getattr(key, 'value', '')}' in 'dependencies'; only 'pip:' may stand here")
                continue
            for item in self.items(value, "'pip'"):
                text = self.scalar(item, "a requirement")
                if text is not None:
                    self.requirement(item, text.strip())

    def requirement(self, node, text):
        from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
        if text.startswith("-"):
            option = text.replace("=", " ", 1).split(None, 1)
            if option[0] not in PIP_OPTIONS or len(option) != 2:
                self.fault(node, f"'{text}': of pip's options only {', '.join(PIP_OPTIONS)} are taken here")
                return
            text = " ".join(option)
        else:
            try:
                requirement = Requirement(text)
            except InvalidRequirement as error:
                self.fault(node, f"'{text}' is not a requirement such as 'rich==13.7': {first_line(error)}")
                return
            if requirement.url:
                self.fault(node, f"'{text}': requirements by URL or path are not taken; name a package of an index")
                return
        self.spec.pip.append(Entry(text, node.start_mark.line + 1))

    def variables(self, node):
        if not isinstance(node, MappingNode):
            self.fault(node, "'variables' must be a mapping: NAME: value")
            return
        for key, value in node.value:
            name, text = self.scalar(key, "a variable's name"), self.scalar(value, "a variable's value")
            if name is None or text is None:
                continue
            if problem := variable_problem(name, text):
                self.fault(key, problem)
            else:
                self.spec.variables[name] = text


def variable_problem(name, value):
    """Why an environment cannot set this; empty when it can."""
    if not VARIABLE.fullmatch(name):
        return f"'{name}' is not the name of a variable"
    if name in FORBIDDEN_VARIABLES or name.startswith("BERTH_"):
        return f"the variable {name} cannot be set by an environment"
    return f"the value of {name} has more than one line" if "\0" in value or "\n" in value else ""


def first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def parse_spec(text):
    """A Spec. BuildError with one line a fault: "line 3: unknown key …"."""
    if len(text.encode("utf-8", "replace")) > LIMIT:
        raise BuildError(f"the file is larger than {LIMIT // 1024} KiB", "too_large")
    try:
        events = YAML(typ="safe", pure=True)
        events.allow_duplicate_keys = True
        node = events.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BuildError(f"line {mark.line + 1 if mark else 1}: not valid YAML: {error.problem or error.context}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise BuildError(f"line 1: not valid YAML: {first_line(error)}") from None
    if node is None:
        raise BuildError("line 1: the file is empty")
    checker = _Checker()
    checker.document(node)
    if checker.faults:
        raise BuildError("\n".join(f"line {line}: {what}" for line, what in sorted(checker.faults)))
    return checker.spec
