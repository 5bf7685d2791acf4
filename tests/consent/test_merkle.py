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
