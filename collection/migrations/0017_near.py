"""A look-up among fingerprints as a function of PostgreSQL's: it keeps its plan, and makes the neighbours itself."""

from itertools import combinations

from django.db import migrations

ONES = [1 << i for i in range(16)]
MASKS = {1: [0, *ONES], 2: [0, *ONES, *(a | b for a, b in combinations(ONES, 2))]}
# Two hashes within 10 bits: had each of the first three bands 3 bits or more and the last one 2, it would be 11.
WITHIN = (2, 2, 2, 1)


def _array(masks):
    return "'{" + ",".join(str(mask - (1 << 16) if mask >> 15 else mask) for mask in masks) + "}'::smallint[]"


def _probe(band):
    own = f"(((own >> {16 * band}) & 65535)::bit(16)::bit(32)::int >> 16)::smallint"
    return f"""
        SELECT f.image_id, f.phash FROM collection_fingerprint AS f
        WHERE f.band{band} = ANY(ARRAY(SELECT {own} # mask FROM unnest({_array(MASKS[WITHIN[band]])}) AS mask))
        AND bit_count((f.phash # own)::bit(64)) <= 10"""


# A loop: its query is never spread over workers, which take longer to start than it does. The plan is the same for all
# hashes and made once for a connection; compiling it (jit) would take longer than running it.
CREATE = f"""
CREATE FUNCTION collection_near(one bigint, mirrored bigint)
RETURNS TABLE (in_mirror boolean, image uuid, large text) LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE own bigint; one_row record;
BEGIN
    FOR in_mirror, own IN VALUES (false, one), (true, mirrored) LOOP
        FOR one_row IN {" UNION ".join(map(_probe, range(4)))} LOOP
            image := one_row.image_id;
            SELECT f.phash256 INTO large FROM collection_fingerprint AS f WHERE f.image_id = image;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END $$"""


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE, params=None)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION collection_near(bigint, bigint)")


class Migration(migrations.Migration):
    dependencies = [("collection", "0016_taken_back")]

    operations = [migrations.RunPython(create, drop)]
