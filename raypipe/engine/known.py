"""What is known of a run's values, and what its nodes are given of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from raypipe.engine.graph import Argument, Literal_, Node, Ref, leaves, node_of, path_of
from raypipe.engine.ports import Argument as Manifests
from raypipe.engine.ports import Codec, Encoded
from raypipe.errors import NotFound, PipelineError


@dataclass
class Known:
    """The outputs that are known, and the literals of the graph, each written down once."""

    codec: Codec
    manifests: dict[str, bytes] = field(default_factory=dict)
    """Output of each node that is known, as its manifest."""
    parts: dict[tuple[str, tuple[str | int, ...]], tuple[str, bytes]] = field(default_factory=dict)
    """Digest and manifest of each item of the lists that maps go over."""
    _literals: dict[int, tuple[Any, Encoded]] = field(default_factory=dict)

    def learn(self, name: str, manifest: bytes) -> None:
        """Take note of the output of a node."""
        self.manifests[name] = manifest

    def forget(self, name: str) -> None:
        """Take note that the output of a node is not to be had after all."""
        self.manifests.pop(name, None)
        for place in [place for place in self.parts if place[0] == name]:
            del self.parts[place]

    def arguments(self, node: Node) -> dict[str, Manifests]:
        """Return the manifests that a step is called with."""
        return {
            name: self._manifest(value, place_in(node, name))
            for name, value in node.arguments.items()
        }

    def output(self, ref: Ref) -> tuple[str, bytes]:
        """Return digest and manifest of what a reference stands for; KeyError if not known."""
        part = self.parts.get((node_of(ref), path_of(ref)))
        if part is not None:
            return part
        return self.codec.field(self.manifests[node_of(ref)], path_of(ref))

    def digest_of(self, value: Argument, where: str) -> tuple[str, bytes]:
        """Return digest and manifest of what is known; `where` is its place, for errors.

        PipelineError and NotFound say what cannot be given, and where.
        """
        match value:
            case Ref():
                return self._output_for(value, where)
            case Literal_():
                encoded = self.encode(value, where)
                return encoded.digest, encoded.manifest
            case _:
                return self.codec.gather(self._manifest(value, where))

    def _output_for(self, ref: Ref, where: str) -> tuple[str, bytes]:
        try:
            return self.output(ref)
        except PipelineError as error:
            raise PipelineError(f"{where} is given {ref!s}: {error}", hint=error.hint) from None

    def _manifest(self, value: Argument, where: str) -> Manifests:
        match value:
            case list():
                return [self._manifest(item, where) for item in value]
            case tuple():
                return tuple(self._manifest(item, where) for item in value)
            case dict():
                return {key: self._manifest(item, where) for key, item in value.items()}
            case _:
                return self.digest_of(value, where)[1]

    def encode(self, literal: Literal_, where: str) -> Encoded:
        """Return a literal written down; `where` is its place, for errors."""
        known = self._literals.get(id(literal))
        if known is None:
            try:
                encoded = self.codec.encode(literal.value)
            except TypeError as error:
                raise PipelineError(
                    f"{where} is given what cannot be kept: {error}",
                    hint="give scalars, lists, dicts, dataclasses, pydantic models, Arrow tables, "
                    "numpy arrays, torch tensors or pathlib.Path",
                ) from None
            except NotFound as error:
                raise NotFound(
                    f"{where}: {error}",
                    hint="make it, or give another path; for a pipeline's parameter with "
                    "--set NAME=PATH",
                ) from None
            known = self._literals[id(literal)] = (literal, encoded)
        return known[1]

    def blobs_given(self, node: Node) -> Iterator[Encoded]:
        """Yield the encoded literals of a node that have blobs.

        They must be published before it runs.
        """
        for name, value in node.arguments.items():
            for _, part in leaves("", value):
                if isinstance(part, Literal_):
                    encoded = self.encode(part, place_in(node, name))
                    if encoded.blobs:
                        yield encoded


def place_in(node: Node, parameter: str) -> str:
    """Return the place of a value in a pipeline, in words."""
    kind = node.kind if node.kind != "lookup" else "fact"
    return f"{kind} {node.name!r}, parameter {parameter!r}"
