from ndbench.verify.resources.loops import Instruction, in_loops


def plain(count):
    return [Instruction("FADD") for _ in range(count)]


def jump(*targets, continues=True):
    return Instruction("BRA", targets=targets, continues=continues)


END = Instruction("EXIT", continues=False)


def test_straight_code_has_no_loop():
    assert in_loops([*plain(3), END]) == set()


def test_a_backward_branch_makes_a_loop_of_what_it_spans():
    assert in_loops([*plain(2), *plain(2), jump(2), END]) == {2, 3, 4}


def test_a_branch_to_itself_is_a_loop():
    assert in_loops([END, jump(1, continues=False)]) == {1}


def test_a_block_moved_behind_the_end_that_jumps_back_is_no_loop():
    # 0 goes to 3 or 1; 3 jumps back to 1
    assert in_loops([jump(3), *plain(1), END, *plain(1), jump(1, continues=False)]) == set()


def test_a_block_of_a_loop_moved_behind_the_end_is_inside():
    # 0, 1 -> 4 (moved), 5 -> 2, 2 -> 0, 3 ends
    program = [*plain(1), jump(4), jump(0), END, *plain(1), jump(2, continues=False)]
    assert in_loops(program) == {0, 1, 2, 4, 5}


def test_nested_loops():
    program = [*plain(1), *plain(1), *plain(1), jump(2), jump(1), END]
    assert in_loops(program) == {1, 2, 3, 4}


def test_a_subroutine_called_from_a_loop_is_inside_with_what_it_calls():
    call, inner = Instruction("CALL", calls=3), Instruction("CALL", calls=6)
    back = Instruction("RET", continues=False)
    assert in_loops([call, jump(0), END, *plain(1), inner, back, back]) == {0, 1, 3, 4, 5, 6}


def test_a_subroutine_called_twice_in_straight_code_makes_no_loop():
    call, back = Instruction("CALL", calls=3), Instruction("RET", continues=False)
    assert in_loops([call, call, END, *plain(1), back]) == set()


def test_ten_thousand_instructions():
    assert len(in_loops([*plain(10_000), jump(0), END])) == 10_001
