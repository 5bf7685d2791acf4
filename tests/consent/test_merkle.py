from hypothesis import given
from hypothesis import strategies as st

from consent import merkle

leaves = st.lists(st.binary(max_size=8).map(merkle.leaf_hash), max_size=70)


@given(leaves)
def test_a_growing_tree_has_the_root_of_the_whole_at_every_size(hashes):
    frontier = merkle.Frontier()
    assert frontier.root() == merkle.root_hash([])
    for size, leaf in enumerate(hashes, start=1):
        frontier.add(leaf)
        assert frontier.size == size
        assert frontier.root() == merkle.root_hash(hashes[:size])


def plain_root(hashes):
    """RFC 6962 section 2.1, word for word."""
    if len(hashes) < 2:
        return merkle.root_hash(hashes)
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(plain_root(hashes[:split]), plain_root(hashes[split:]))


@given(leaves)
def test_the_root_is_that_of_rfc_6962(hashes):
    assert merkle.root_hash(hashes) == plain_root(hashes)


@given(leaves.filter(bool), st.data())
def test_every_proof_verifies_and_for_no_other_place(hashes, data):
    index = data.draw(st.integers(0, len(hashes) - 1))
    other = data.draw(st.integers(0, len(hashes)))
    [proof] = merkle.inclusion_proofs(hashes, [index])
    root = merkle.root_hash(hashes)
    assert merkle.verify_inclusion(hashes[index], index, len(hashes), proof, root)
    if other != index:
        assert not merkle.verify_inclusion(merkle.leaf_hash(b"another"), other, len(hashes), proof, root)
    assert not merkle.verify_inclusion(hashes[index], index, len(hashes), [*proof, root], root)


def test_consistency_of_the_trees_that_rfc_6962_draws():
    """Section 2.1.3: PROOF(3), PROOF(4) and PROOF(6) of seven leaves, by the names of its drawing."""
    d = [merkle.leaf_hash(bytes([number])) for number in range(7)]
    node = merkle.node_hash
    g, h, i, j = node(d[0], d[1]), node(d[2], d[3]), node(d[4], d[5]), d[6]
    k, l = node(g, h), node(i, j)  # noqa: E741
    told = {first: merkle.consistency_proof(first, 7, root_of(d)) for first in (3, 4, 6)}
    assert told == {3: [d[2], d[3], g, l], 4: [l], 6: [i, j, k]}


def root_of(hashes):
    return lambda begin, end: merkle.root_hash(hashes[begin:end])


@given(leaves.filter(bool), st.data())
def test_consistency_holds_between_all_sizes_and_for_no_other_tree(hashes, data):
    first = data.draw(st.integers(1, len(hashes)))
    proof = merkle.consistency_proof(first, len(hashes), root_of(hashes))
    roots = merkle.root_hash(hashes[:first]), merkle.root_hash(hashes)
    assert merkle.verify_consistency(first, len(hashes), *roots, proof)
    other = merkle.root_hash([merkle.leaf_hash(b"rewritten"), *hashes[1:first]])
    assert not merkle.verify_consistency(first, len(hashes), other, roots[1], proof) or other == roots[0]
    assert not merkle.verify_consistency(first, len(hashes), *roots, [*proof, roots[0]])
    if proof:
        assert not merkle.verify_consistency(first, len(hashes), *roots, proof[:-1])
