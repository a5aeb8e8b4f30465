from django.db import migrations

# Policies are counted anew from a decision that is deleted, whoever deletes it: an erasure of a process
# of the version before knows nothing of counts. Retention deletes what is kept in the totals.
# It refuses nothing, so older processes work beside it.
_CREATE = """
    INSERT INTO inference_policycount (surface_id, settings, points, watermark)
    SELECT id, '{}', '[]', 0 FROM inference_surface WHERE kind = 'rank' ON CONFLICT DO NOTHING;
    CREATE FUNCTION experiments_recount_policies() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE inference_policycount AS policy
        SET recount_from = least(policy.recount_from, gone.first)
        FROM (
            SELECT count.id, min(deleted.recommendation_id::text)::uuid AS first
            FROM deleted JOIN inference_policycount AS count USING (surface_id)
            WHERE count.stored_from IS NULL OR deleted.recommendation_id >= count.stored_from
            GROUP BY count.id) AS gone
        WHERE policy.id = gone.id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER policies_are_recounted AFTER DELETE ON experiments_slate
        REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
        EXECUTE FUNCTION experiments_recount_policies();"""
_DROP = """
    DROP TRIGGER policies_are_recounted ON experiments_slate;
    DROP FUNCTION experiments_recount_policies();"""


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0063_sources_of_theme_names_expand'),
        ('inference', '0031_policy_counts_that_run_expand'),
    ]

    operations = [
        migrations.RunSQL(_CREATE, _DROP),
    ]
