"""What TensorFlow's exceptions say of a missing derivative, read by their types and words. It needs no TensorFlow."""

import re

import serving

# The words of a LookupError, op by op and in a graph, and of a NotImplementedError.
NO_GRADIENT = ("gradient registry has no entry for", "No gradient defined for operation")
NOT_IMPLEMENTED = re.compile(r"[Gg]rad(ient)?( for \w+)? (is not|has not been|not) implemented")


def why(error):
    """Why there is no answer. It is a refusal where its words name a missing gradient; any other exception of these types is a fault."""
    cause = error.__cause__ if isinstance(error, serving.Failed) and error.__cause__ is not None else error
    lacking = type(cause) is LookupError and any(words in str(cause) for words in NO_GRADIENT)
    unwritten = type(cause) is NotImplementedError and NOT_IMPLEMENTED.search(str(cause)) is not None
    found = serving.reason(error, lacking or unwritten)
    if "Graph execution error" in found["words"]:  # the line of the kernel stands before that of the node
        lines = str(cause).splitlines()
        at = next((k for k, line in enumerate(lines) if line.lstrip().startswith("[[{{node")), 0)
        found["words"] = f"{type(cause).__name__}: {lines[at - 1][:200]}"
    return found


def of_casts(nodes, tangents=None):
    """Why there is no derivative, by mode, where a node is a cast through a format of 8 bits; else empty. TensorFlow gives None for it.

    ``tangents`` are those of the nodes, where they are known: a release that has one of the cast is judged by it.
    """
    for k, node in enumerate(nodes):
        cast = node.op == "cast_through" and node.params["through"].startswith("float8")
        if cast and (tangents is None or tangents[k] is None):
            words = "None: TensorFlow has no gradient of a cast to a format of 8 bits"
            return {
                mode: {"words": words, "refused": True, "node": k, "details": ""}
                for mode in ("reverse", "forward")
            }
    return {}
