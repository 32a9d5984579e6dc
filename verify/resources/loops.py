"""Which instructions of a machine program lie inside a loop.

A backward branch alone tells nothing: compilers move rare blocks behind the end of a function and jump back from there.
An instruction is inside a loop if and only if it can reach itself, that is, if it lies on a cycle of the control flow:
in a strongly connected component of more than one instruction, or on a branch to itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        opcode: with its modifiers, such as "LDL.LU.64".
        operands: the rest of its text.
        targets: indices of the instructions it may jump to.
        continues: whether the next instruction may follow.
        calls: index of the subroutine it calls; it returns to the next instruction.
    """

    opcode: str
    operands: str = ""
    targets: tuple[int, ...] = ()
    continues: bool = True
    calls: int | None = None


def in_loops(program: Sequence[Instruction]) -> set[int]:
    """Indices of the instructions inside a loop, those of subroutines called from inside one among them."""
    successors = [_successors(program, i) for i in range(len(program))]
    inside = {i for component in _components(successors) if _cyclic(component, successors) for i in component}
    calls = [program[i].calls for i in inside]
    waiting = [start for start in calls if start is not None]
    while waiting:
        i = waiting.pop()
        if i in inside:
            continue
        inside.add(i)
        called = program[i].calls
        waiting += successors[i] if called is None else [*successors[i], called]
    return inside


def _successors(program: Sequence[Instruction], i: int) -> list[int]:
    following = [i + 1] if program[i].continues and i + 1 < len(program) else []
    return [*following, *program[i].targets]


def _cyclic(component: list[int], successors: Sequence[Sequence[int]]) -> bool:
    return len(component) > 1 or component[0] in successors[component[0]]


def _components(successors: Sequence[Sequence[int]]) -> list[list[int]]:
    """Strongly connected components (Kosaraju and Sharir), without recursion."""
    order, seen = list[int](), set[int]()
    for root in range(len(successors)):
        order += _postorder(root, successors, seen)
    predecessors: list[list[int]] = [[] for _ in successors]
    for i, following in enumerate(successors):
        for j in following:
            predecessors[j].append(i)
    components, seen = [], set()
    for root in reversed(order):
        if root not in seen:
            components.append(_postorder(root, predecessors, seen))
    return components


def _postorder(root: int, successors: Sequence[Sequence[int]], seen: set[int]) -> list[int]:
    """What depth-first search from the root newly finds, in the order in which it is left."""
    if root in seen:
        return []
    seen.add(root)
    left, path = list[int](), [(root, iter(successors[root]))]
    while path:
        node, following = path[-1]
        new = next((j for j in following if j not in seen), None)
        if new is None:
            left.append(node)
            path.pop()
        else:
            seen.add(new)
            path.append((new, iter(successors[new])))
    return left
