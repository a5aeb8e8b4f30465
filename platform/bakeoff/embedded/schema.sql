-- Written by `python -m tests.support.schema_snapshot`: do not edit.
-- accounts.0001_initial 89bb50476f7a40e3
-- accounts.0002_ingestion 67e7c7a4f2139ac3
-- accounts.0003_faces f872a8a2b8a12222
-- accounts.0004_scopes_of_keys 4bc01722f4072b58
-- accounts.0005_max_events_per_minute c4327faeeec1610e
-- accounts.0006_keys_can_be_read 9912cfa3c70cf167
-- accounts.0007_owner_of_a_key 14bc191155a397c3
-- accounts.0008_sample_project ff606ed34f1d7404
-- accounts.0009_keys_expire 7e96454e90271420
-- accounts.0010_single_sign_on 4c20c5aff4d0cf61
-- accounts.0011_invitations c29a82e2afdd77d7
-- accounts.0012_password_resets eaca26923c9e46ab
-- accounts.0013_second_factors 0e18271120361710
-- accounts.0014_usage_and_quotas 017ba7a9fb3e244f
-- accounts.0015_passkeys_expand 90170b8ba1df2a94
-- accounts.0016_saved_views_expand ab24560d8ed93bb4
-- accounts.0017_sessions_expand 8e7459a710bd7f2a
-- accounts.0018_audit_by_subject 445c185ea12152e3
-- accounts.0019_invitation_mailed_expand ff93cc595aa2bfef
-- alerts.0001_outbox 95ef5c048e66d161
-- alerts.0002_time_of_the_last_attempt 28d9c9d51bbb027f
-- alerts.0003_alerts_of_themes 3f0e4abb80f9407a
-- alerts.0004_quota_alerts 45a392d2f9510ff2
-- alerts.0005_mentions 804bee4a573c6db5
-- inference.0001_initial 3fd30d9de81e47f7
-- inference.0002_ingestion 6379d6c8679913f8
-- inference.0003_learning 432dee6fe64a7e98
-- inference.0004_answers_and_shadow 1ab1771d7bbd3349
-- inference.0005_assignment 5641c7db40562633
-- inference.0006_surface_labels_and_run_notes 7c9e7e5a45c3e485
-- inference.0007_due_rows d9090939be20f5fc
-- inference.0008_artifact_store d5f8dcf0377e7faa
-- inference.0009_readable_times 20455e61a99c546d
-- inference.0010_algorithm 37ffef3bbd1b0d43
-- inference.0011_run_of_a_refit 092a8201b35bdf1d
-- inference.0012_catalogue_fields a51459902b68a1ac
-- inference.0013_surface_rules ab886dad2d6bdc98
-- inference.0014_item_neighbours bbd81947a749a70e
-- inference.0015_item_document aec840f2cacaf705
-- inference.0016_costs_of_mistakes 0de96a99db25cb11
-- inference.0017_groups_of_a_surface 45c2090239438a38
-- inference.0018_run_stage bd89f1b9afdf7000
-- inference.0019_surfaces_generate 377c795e609c9b1d
-- inference.0020_event_weights 8a3ecb604151bbfb
-- inference.0021_images 05e6c518c3cf9fdc
-- inference.0022_texts_of_a_run 23d6be85acbe8cd7
-- inference.0023_context_features a4153d69ae5dfe7f
-- inference.0024_uploaded_images 6220a193f4c28848
-- inference.0025_shadow_texts d4b95faad3292c2f
-- inference.0026_surfaces_rank 2d5ab2c437dccf38
-- inference.0027_run_log_expand 3f59a0a76a5f845a
-- inference.0028_text_classifier_expand c3369e7190b26608
-- inference.0029_policy_counts_expand 3c0824dd8a90c04a
-- inference.0030_theme_namer_expand 1bce1f134e0db5e0
-- inference.0031_policy_counts_that_run_expand 721b6cf27fc91b84
-- experiments.0001_initial cb5d5f99033e7f12
-- experiments.0002_transaction_ids 1c4bf9d89dd00199
-- experiments.0003_metrics_and_segments d55fa81f9fd02f69
-- experiments.0004_ingestion ccff24c1f332a9e7
-- experiments.0005_partitions d677edaae189fa4f
-- experiments.0006_correction_value 7e18104d42871eac
-- experiments.0007_assignment b30883970ce38412
-- experiments.0008_faces 8a765e2adfea62f8
-- experiments.0009_serving_of_looks 7bba3e3c222b06c6
-- experiments.0010_keys_apart b97521fd85da0dcd
-- experiments.0011_links_by_user 9b264be820233648
-- experiments.0012_no_statistics_of_tenants ce1972e5f6070cc9
-- experiments.0013_exposure_last_epoch c6fdbee3a27348ed
-- experiments.0014_transaction_clock 1be2e9f323af1731
-- experiments.0015_exposures_claimed 51c488aeefe21e70
-- experiments.0016_readable_times d7ddf2fbd0efeb97
-- experiments.0017_learnings_and_creators 545e841b75c75f37
-- experiments.0018_names_of_metric_fields fd0cd1c88e1162ae
-- experiments.0019_metrics_of_an_experiment 3f77049504e1c560
-- experiments.0020_plain_observations 4242037525ced855
-- experiments.0021_observations_without_key_checks 9c5eec866d00fcc2
-- experiments.0022_experiment_has_a_name 7c707a64052c2bb9
-- experiments.0023_programme_of_a_surface b8b310f84d746235
-- experiments.0024_programmes_keep_their_metric 3e2b6deaec8bcf90
-- experiments.0025_purpose_of_an_experiment ab2582ebf42bbe28
-- experiments.0026_ramps_tell_by_alerts 1a4c05c4b6675864
-- experiments.0027_breaker_counts_first_outcomes ea80d27d8c09d082
-- experiments.0028_projects_have_serving_metrics c06c0b026f34b6cf
-- experiments.0029_slates_by_surface 441a30d7e6b721fe
-- experiments.0030_rule_versions 25ba467130ca2627
-- experiments.0031_label_tasks 883e81fa8a4bd34c
-- experiments.0032_proposals_of_settings d7ff47613ef1b68f
-- experiments.0033_generations db5a302af81bf20e
-- experiments.0034_judgements 5b02bc0c6cce8c5f
-- experiments.0035_data_sets_and_checks a9328813ec2129dd
-- experiments.0036_check_margins 1107f06e21457a3a
-- experiments.0037_quality_of_looks 3e2d90772c6ac5de
-- experiments.0038_proposals_of_exposure 286d3f31030b303b
-- experiments.0039_interleaving 72ea7ad29924ebb4
-- experiments.0040_scores_are_events 5940cc20b71928b7
-- experiments.0041_exports_of_records 66d08652fe5ef1e6
-- experiments.0042_themes_of_feedback 5743e6f4934ffba9
-- experiments.0043_covariates_by_prediction 962426e20c0f7861
-- experiments.0044_bandits 3355499b3b21c9fd
-- experiments.0045_surveys 8771ea2e393c1e9d
-- experiments.0046_feedback_to_label 2ff68859abc24e16
-- experiments.0047_themed_texts_go_by_unit ce71e71c860a25f6
-- experiments.0048_texts_of_project b2854bb27f49b969
-- experiments.0049_rewards_are_events c986ca52b8b0eede
-- experiments.0050_clusters 41e4021479494b6a
-- experiments.0051_metrics_have_owners 637a74026bfd60e2
-- experiments.0052_comments 1f97f9020988248a
-- experiments.0053_switchback 43f3204f7009dd20
-- experiments.0054_survey_targeting_expand 2f8d0dba494852a9
-- experiments.0055_archived_months_expand f835be575e6aebe1
-- experiments.0056_experiment_tags_expand 2c5c18f13df6d458
-- experiments.0057_segments_at_start_expand 7035d907d9ec3123
-- experiments.0058_answers_in_words 5a08b8ab7e170b45
-- experiments.0059_labels_of_texts_expand 9c59ef4e6c8fb5d8
-- experiments.0060_failures_by_version_expand 72f29342ec5db2e9
-- experiments.0061_variant_pictures_expand f2334d36500af445
-- experiments.0062_theme_names_expand 648ffddfd39f6a67
-- experiments.0063_sources_of_theme_names_expand a8b7207b3d2f50df
-- experiments.0064_deleted_decisions_expand 92b5ac817c587402
-- experiments.0065_weighted_scores_expand d59f6e82696d15ee
-- experiments.0066_archived_expand 595b8e0f1fc06e4a
-- inference.0032_item_words_expand 2707bb6fb91871d0
-- inference.0033_known_properties_expand 9dcf2c6af402e2a1
-- inference.0034_archived_expand 54ed6d3a02d354f2
CREATE FUNCTION experiments_recount_policies() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE TABLE accounts_apikey (
    id bigint NOT NULL,
    name character varying(100) NOT NULL,
    kind character varying(2) NOT NULL,
    prefix character varying(12) NOT NULL,
    digest character varying(64) NOT NULL,
    scopes jsonb NOT NULL,
    allowed_origins jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    project_id bigint NOT NULL,
    owner character varying(150) NOT NULL,
    expires_at timestamp with time zone,
    CONSTRAINT a_public_key_serves_and_ingests CHECK (((NOT ((kind)::text = 'pk'::text)) OR (scopes <@ '["serve", "ingest"]'::jsonb))),
    CONSTRAINT allowed_origins_are_origins CHECK (((jsonb_typeof(allowed_origins) = 'array'::text) AND (NOT jsonb_path_exists(allowed_origins, '$[*]?(@.type() != "string" || !(@ like_regex "^https?://[^/?#@[:space:]]+$"))'::jsonpath)))),
    CONSTRAINT key_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((revoked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (revoked_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((last_used_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_used_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE accounts_apikey ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_apikey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_auditentry (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    actor character varying(150) NOT NULL,
    action character varying(64) NOT NULL,
    subject character varying(200) NOT NULL,
    detail jsonb NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE accounts_auditentry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_auditentry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_externalidentity (
    id bigint NOT NULL,
    issuer character varying(255) NOT NULL,
    subject character varying(255) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    user_id integer NOT NULL,
    CONSTRAINT identity_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE accounts_externalidentity ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_externalidentity_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_invitation (
    id bigint NOT NULL,
    role character varying(16) NOT NULL,
    email character varying(254) NOT NULL,
    digest character varying(64) NOT NULL,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    accepted_at timestamp with time zone,
    accepted_by character varying(150) NOT NULL,
    revoked_at timestamp with time zone,
    project_id bigint NOT NULL,
    mailed_at timestamp with time zone,
    CONSTRAINT invitation_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((accepted_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (accepted_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((revoked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (revoked_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE accounts_invitation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_invitation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_membership (
    id bigint NOT NULL,
    role character varying(16) NOT NULL,
    user_id integer NOT NULL,
    project_id bigint NOT NULL,
    from_groups boolean DEFAULT false NOT NULL
);
ALTER TABLE accounts_membership ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_membership_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_monthlyusage (
    id bigint NOT NULL,
    month date NOT NULL,
    answers bigint NOT NULL,
    events bigint NOT NULL,
    feedback bigint NOT NULL,
    generations bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT usage_is_of_a_whole_month CHECK ((EXTRACT(day FROM month) = (1)::numeric))
);
ALTER TABLE accounts_monthlyusage ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_monthlyusage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_passkey (
    id bigint NOT NULL,
    name character varying(60) NOT NULL,
    credential_id character varying(1400) NOT NULL,
    credential bytea NOT NULL,
    user_handle character varying(64) NOT NULL,
    sign_count bigint NOT NULL,
    last_challenge character varying(64) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    last_used_at timestamp with time zone,
    user_id integer NOT NULL,
    CONSTRAINT passkey_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((last_used_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_used_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE accounts_passkey ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_passkey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_passwordreset (
    id bigint NOT NULL,
    created_by character varying(150) NOT NULL,
    digest character varying(64) NOT NULL,
    password_digest character varying(64) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    maker_id integer,
    person_id integer NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT reset_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((used_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (used_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE accounts_passwordreset ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_passwordreset_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_project (
    id bigint NOT NULL,
    slug character varying(64) NOT NULL,
    name character varying(200) NOT NULL,
    timezone character varying(64) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    max_events_per_minute integer CONSTRAINT accounts_project_most_events_per_minute_not_null NOT NULL,
    retention_days integer NOT NULL,
    is_sample boolean DEFAULT false NOT NULL,
    CONSTRAINT accounts_project_most_events_per_minute_check CHECK ((max_events_per_minute >= 0)),
    CONSTRAINT accounts_project_retention_days_check CHECK ((retention_days >= 0)),
    CONSTRAINT project_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE accounts_project ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_project_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_quota (
    id bigint NOT NULL,
    answers bigint,
    events bigint,
    tokens bigint,
    project_id bigint NOT NULL,
    CONSTRAINT quotas_are_not_negative CHECK ((((answers IS NULL) OR (answers >= 0)) AND ((events IS NULL) OR (events >= 0)) AND ((tokens IS NULL) OR (tokens >= 0))))
);
ALTER TABLE accounts_quota ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_quota_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_recoverycode (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    used_at timestamp with time zone,
    factor_id bigint NOT NULL,
    CONSTRAINT recovery_times_are_readable CHECK (((used_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (used_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE accounts_recoverycode ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_recoverycode_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_savedview (
    id bigint NOT NULL,
    list_name character varying(32) NOT NULL,
    key character varying(64) NOT NULL,
    name character varying(60) NOT NULL,
    query character varying(2000) NOT NULL,
    shared boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    owner_id integer NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT saved_view_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE accounts_savedview ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_savedview_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_secondfactor (
    id bigint NOT NULL,
    secret character varying(64) NOT NULL,
    confirmed_at timestamp with time zone,
    last_counter bigint NOT NULL,
    failures smallint NOT NULL,
    failing_since timestamp with time zone,
    user_id integer NOT NULL,
    CONSTRAINT accounts_secondfactor_failures_check CHECK ((failures >= 0)),
    CONSTRAINT factor_times_are_readable CHECK ((((confirmed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (confirmed_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((failing_since >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (failing_since <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE accounts_secondfactor ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_secondfactor_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_signedinsession (
    id bigint NOT NULL,
    session_key character varying(40) NOT NULL,
    password_digest character varying(64) NOT NULL,
    address inet,
    browser character varying(200) NOT NULL,
    signed_in_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    user_id integer NOT NULL,
    CONSTRAINT signed_in_times_are_readable CHECK (((signed_in_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (signed_in_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE accounts_signedinsession ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_signedinsession_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE accounts_usageentry (
    id bigint NOT NULL,
    month date NOT NULL,
    answers bigint NOT NULL,
    events bigint NOT NULL,
    feedback bigint NOT NULL,
    generations bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE accounts_usageentry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME accounts_usageentry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE alerts_alert (
    id uuid NOT NULL,
    event character varying(32) NOT NULL,
    subject character varying(200) NOT NULL,
    summary text NOT NULL,
    detail jsonb NOT NULL,
    path character varying(500) NOT NULL,
    dedupe_key character varying(200) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    fanned_out_at timestamp with time zone,
    project_id bigint NOT NULL,
    CONSTRAINT alert_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((resolved_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (resolved_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((fanned_out_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (fanned_out_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
CREATE TABLE alerts_delivery (
    id bigint NOT NULL,
    state character varying(16) NOT NULL,
    attempts integer NOT NULL,
    first_tried_at timestamp with time zone,
    next_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    leased_until timestamp with time zone,
    delivered_at timestamp with time zone,
    response_status smallint,
    last_error character varying(500) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    alert_id uuid NOT NULL,
    subscription_id bigint NOT NULL,
    tried_at timestamp with time zone,
    CONSTRAINT alerts_delivery_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT alerts_delivery_response_status_check CHECK ((response_status >= 0)),
    CONSTRAINT delivery_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((first_tried_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (first_tried_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((tried_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (tried_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((next_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (next_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((leased_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (leased_until <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((delivered_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (delivered_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))),
    CONSTRAINT what_is_delivered_has_its_time CHECK ((((delivered_at IS NOT NULL) AND ((state)::text = 'delivered'::text)) OR ((NOT ((state)::text = 'delivered'::text)) AND (delivered_at IS NULL))))
);
ALTER TABLE alerts_delivery ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME alerts_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE alerts_subscription (
    id bigint NOT NULL,
    name character varying(100) NOT NULL,
    kind character varying(16) NOT NULL,
    target character varying(1000) NOT NULL,
    events jsonb NOT NULL,
    secret character varying(100) NOT NULL,
    previous_secret character varying(100) NOT NULL,
    previous_secret_until timestamp with time zone,
    enabled boolean NOT NULL,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT a_webhook_has_a_secret CHECK (((NOT ((kind)::text = 'webhook'::text)) OR (NOT ((secret)::text = ''::text)))),
    CONSTRAINT subscribed_events_are_a_list CHECK ((jsonb_typeof(events) = 'array'::text)),
    CONSTRAINT subscription_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((previous_secret_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (previous_secret_until <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE alerts_subscription ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME alerts_subscription_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);
ALTER TABLE auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);
ALTER TABLE auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);
ALTER TABLE auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE auth_user (
    id integer NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(150) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);
CREATE TABLE auth_user_groups (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    group_id integer NOT NULL
);
ALTER TABLE auth_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE auth_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE auth_user_user_permissions (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    permission_id integer NOT NULL
);
ALTER TABLE auth_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME auth_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id integer NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);
ALTER TABLE django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);
ALTER TABLE django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);
ALTER TABLE django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);
CREATE TABLE experiments_answerrating (
    id bigint NOT NULL,
    reviewer character varying(150) NOT NULL,
    point smallint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    answer_id bigint NOT NULL,
    CONSTRAINT experiments_answerrating_point_check CHECK ((point >= 0)),
    CONSTRAINT the_worst_rating_is_1 CHECK ((point >= 1))
);
ALTER TABLE experiments_answerrating ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_answerrating_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_approval (
    id bigint NOT NULL,
    by character varying(150) NOT NULL,
    note text NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    proposal_id bigint NOT NULL
);
ALTER TABLE experiments_approval ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_approval_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_archivedmonth (
    id bigint NOT NULL,
    "table" character varying(8) NOT NULL,
    month date NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    digest character varying(64) NOT NULL,
    row_hashes character varying(40) NOT NULL,
    last_received_at timestamp with time zone,
    archived_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT experiments_archivedmonth_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT experiments_archivedmonth_rows_check CHECK ((rows >= 0))
);
ALTER TABLE experiments_archivedmonth ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_archivedmonth_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_blocksum (
    id bigint NOT NULL,
    number bigint NOT NULL,
    users bigint NOT NULL,
    value double precision NOT NULL,
    denominator double precision NOT NULL,
    uncapped_value double precision NOT NULL,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    variant_id bigint,
    CONSTRAINT experiments_blocksum_users_check CHECK ((users >= 0))
);
ALTER TABLE experiments_blocksum ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_blocksum_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_breakercount (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    bin integer NOT NULL,
    units bigint NOT NULL,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    CONSTRAINT experiments_breakercount_bin_check CHECK ((bin >= 0)),
    CONSTRAINT experiments_breakercount_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE experiments_breakercount ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_breakercount_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_challenger (
    id bigint NOT NULL,
    priority integer,
    held boolean NOT NULL,
    dropped boolean NOT NULL,
    reason text NOT NULL,
    version_id bigint NOT NULL
);
ALTER TABLE experiments_challenger ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_challenger_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_comment (
    id bigint NOT NULL,
    key_name character varying(150) NOT NULL,
    text text NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    edited_at timestamp with time zone,
    author_id integer,
    experiment_id bigint NOT NULL,
    CONSTRAINT a_comment_says_something CHECK ((NOT (text = ''::text))),
    CONSTRAINT comment_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((edited_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (edited_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE experiments_comment ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_comment_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_comment_mentioned (
    id bigint NOT NULL,
    comment_id bigint NOT NULL,
    user_id integer NOT NULL
);
ALTER TABLE experiments_comment_mentioned ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_comment_mentioned_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_dataexport (
    id bigint NOT NULL,
    folder character varying(1000) NOT NULL,
    every_seconds integer,
    positions jsonb NOT NULL,
    pending jsonb,
    rows bigint NOT NULL,
    finished_at timestamp with time zone,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT an_export_waits_a_minute CHECK (((every_seconds IS NULL) OR (every_seconds >= 60))),
    CONSTRAINT experiments_dataexport_every_seconds_check CHECK ((every_seconds >= 0)),
    CONSTRAINT experiments_dataexport_rows_check CHECK ((rows >= 0))
);
ALTER TABLE experiments_dataexport ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_dataexport_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_dataset (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    assertions jsonb NOT NULL,
    is_gate boolean NOT NULL,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL
);
ALTER TABLE experiments_dataset ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_dataset_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_datasetrow (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    messages jsonb NOT NULL,
    variables jsonb NOT NULL,
    assertions jsonb NOT NULL,
    frozen_at timestamp with time zone,
    data_set_id bigint NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE experiments_datasetrow ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_datasetrow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_decision (
    id bigint NOT NULL,
    action character varying(24) NOT NULL,
    reason text NOT NULL,
    created_by character varying(150) CONSTRAINT experiments_decision_made_by_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT experiments_decision_made_at_not_null NOT NULL,
    evidence jsonb NOT NULL,
    previous_sha256 character varying(64) NOT NULL,
    sha256 character varying(64) NOT NULL,
    read_back jsonb NOT NULL,
    project_id bigint NOT NULL,
    promoted_id bigint,
    replaced_id bigint,
    surface_id bigint NOT NULL,
    experiment_id bigint
);
ALTER TABLE experiments_decision ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_decision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_epoch (
    id bigint NOT NULL,
    number integer NOT NULL,
    allocation double precision NOT NULL,
    weights jsonb NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    experiment_id bigint NOT NULL,
    layout jsonb NOT NULL,
    CONSTRAINT epoch_times_are_readable CHECK ((((started_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (started_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((ended_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ended_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))),
    CONSTRAINT experiments_epoch_number_check CHECK ((number >= 0))
);
ALTER TABLE experiments_epoch ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_epoch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_event (
    id bigint CONSTRAINT experiments_event_id_not_null1 NOT NULL,
    project_id bigint CONSTRAINT experiments_event_project_id_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT experiments_event_xid_not_null1 NOT NULL,
    occurred_at timestamp with time zone CONSTRAINT experiments_event_occurred_at_not_null1 NOT NULL,
    received_at timestamp with time zone DEFAULT statement_timestamp() CONSTRAINT experiments_event_received_at_not_null1 NOT NULL,
    claimed_at timestamp with time zone,
    value double precision,
    recommendation_id uuid,
    item_known boolean DEFAULT true CONSTRAINT experiments_event_item_known_not_null1 NOT NULL,
    inferred boolean DEFAULT false CONSTRAINT experiments_event_inferred_not_null1 NOT NULL,
    trainable boolean DEFAULT true CONSTRAINT experiments_event_trainable_not_null1 NOT NULL,
    name character varying(100) CONSTRAINT experiments_event_name_not_null1 NOT NULL,
    unit_id character varying(200) CONSTRAINT experiments_event_unit_id_not_null1 NOT NULL,
    event_id character varying(200) CONSTRAINT experiments_event_event_id_not_null1 NOT NULL,
    item_id character varying(200),
    source character varying(8) DEFAULT 'live'::character varying CONSTRAINT experiments_event_source_not_null1 NOT NULL,
    properties jsonb DEFAULT '{}'::jsonb CONSTRAINT experiments_event_properties_not_null1 NOT NULL,
    trusted boolean DEFAULT false NOT NULL
)
PARTITION BY RANGE (occurred_at);
ALTER TABLE ONLY experiments_event ALTER COLUMN project_id SET STATISTICS 0;
CREATE SEQUENCE experiments_event_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE experiments_event_number OWNED BY experiments_event.id;
CREATE TABLE experiments_event_default (
    id bigint DEFAULT nextval('experiments_event_number'::regclass) CONSTRAINT experiments_event_id_not_null1 NOT NULL,
    project_id bigint CONSTRAINT experiments_event_project_id_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT experiments_event_xid_not_null1 NOT NULL,
    occurred_at timestamp with time zone CONSTRAINT experiments_event_occurred_at_not_null1 NOT NULL,
    received_at timestamp with time zone DEFAULT statement_timestamp() CONSTRAINT experiments_event_received_at_not_null1 NOT NULL,
    claimed_at timestamp with time zone,
    value double precision,
    recommendation_id uuid,
    item_known boolean DEFAULT true CONSTRAINT experiments_event_item_known_not_null1 NOT NULL,
    inferred boolean DEFAULT false CONSTRAINT experiments_event_inferred_not_null1 NOT NULL,
    trainable boolean DEFAULT true CONSTRAINT experiments_event_trainable_not_null1 NOT NULL,
    name character varying(100) CONSTRAINT experiments_event_name_not_null1 NOT NULL,
    unit_id character varying(200) CONSTRAINT experiments_event_unit_id_not_null1 NOT NULL,
    event_id character varying(200) CONSTRAINT experiments_event_event_id_not_null1 NOT NULL,
    item_id character varying(200),
    source character varying(8) DEFAULT 'live'::character varying CONSTRAINT experiments_event_source_not_null1 NOT NULL,
    properties jsonb DEFAULT '{}'::jsonb CONSTRAINT experiments_event_properties_not_null1 NOT NULL,
    trusted boolean DEFAULT false CONSTRAINT experiments_event_trusted_not_null NOT NULL
);
ALTER TABLE ONLY experiments_event_default ALTER COLUMN project_id SET STATISTICS 0;
CREATE TABLE experiments_eventid (
    project_id bigint NOT NULL,
    event_id character varying(200) NOT NULL,
    received_at timestamp with time zone NOT NULL,
    trusted boolean DEFAULT true NOT NULL
);
ALTER TABLE ONLY experiments_eventid ALTER COLUMN project_id SET STATISTICS 0;
CREATE TABLE experiments_excludedunit (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    reason character varying(8) NOT NULL,
    excluded_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL
);
ALTER TABLE ONLY experiments_excludedunit ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE experiments_excludedunit ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_excludedunit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_experiment (
    id bigint NOT NULL,
    key character varying(100) NOT NULL,
    hypothesis text NOT NULL,
    owner character varying(150) NOT NULL,
    state character varying(16) NOT NULL,
    salt character varying(64) NOT NULL,
    allocation double precision NOT NULL,
    policy jsonb NOT NULL,
    policy_sha256 character varying(64) NOT NULL,
    against_gate boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    watermark bigint NOT NULL,
    batches integer NOT NULL,
    sequential_state jsonb NOT NULL,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    segments jsonb NOT NULL,
    blocked_before integer NOT NULL,
    condition jsonb NOT NULL,
    enabled boolean NOT NULL,
    exclusive boolean NOT NULL,
    forced_units jsonb NOT NULL,
    hashing character varying(16) NOT NULL,
    prerequisites jsonb NOT NULL,
    ramp jsonb NOT NULL,
    shipped_variant character varying(64) NOT NULL,
    slot_high double precision NOT NULL,
    slot_low double precision NOT NULL,
    sticky boolean NOT NULL,
    sticky_since integer NOT NULL,
    layer_id bigint,
    archived_at timestamp with time zone,
    learnings text CONSTRAINT experiments_experiment_lesson_not_null NOT NULL,
    name character varying(200) NOT NULL,
    ramp_hold character varying(300) NOT NULL,
    ends_at timestamp with time zone,
    purpose character varying(16) NOT NULL,
    breaker_alpha double precision DEFAULT 0.0 NOT NULL,
    latency_before jsonb DEFAULT '{}'::jsonb NOT NULL,
    watched_at timestamp with time zone,
    mode character varying(16) DEFAULT 'split'::character varying NOT NULL,
    tags jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT a_slot_is_a_range CHECK (((slot_low >= (0.0)::double precision) AND (slot_low < slot_high) AND (slot_high <= (1.0)::double precision))),
    CONSTRAINT allocation_is_a_positive_share CHECK (((allocation > (0.0)::double precision) AND (allocation <= (1.0)::double precision))),
    CONSTRAINT breaker_alpha_is_a_small_share CHECK (((breaker_alpha >= (0.0)::double precision) AND (breaker_alpha <= (0.05)::double precision))),
    CONSTRAINT experiment_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((started_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (started_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((ended_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ended_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((archived_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (archived_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((ends_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ends_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((watched_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (watched_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))),
    CONSTRAINT experiments_experiment_batches_check CHECK ((batches >= 0)),
    CONSTRAINT experiments_experiment_blocked_before_check CHECK ((blocked_before >= 0)),
    CONSTRAINT experiments_experiment_sticky_since_check CHECK ((sticky_since >= 0))
);
ALTER TABLE experiments_experiment ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_experiment_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_experimentmetric (
    id bigint NOT NULL,
    role character varying(16) NOT NULL,
    margin double precision NOT NULL,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    spec jsonb NOT NULL,
    margin_floor double precision DEFAULT 0.0 NOT NULL,
    CONSTRAINT margin_floor_is_not_negative CHECK ((margin_floor >= (0.0)::double precision)),
    CONSTRAINT margin_is_not_negative CHECK ((margin >= (0.0)::double precision))
);
ALTER TABLE experiments_experimentmetric ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_experimentmetric_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_exposure (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    unit_id character varying(200) NOT NULL,
    unit_type character varying(32) NOT NULL,
    exposed_at timestamp with time zone NOT NULL,
    experiment_id bigint NOT NULL,
    project_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    source character varying(8) DEFAULT 'served'::character varying NOT NULL,
    last_epoch integer DEFAULT 0 NOT NULL,
    CONSTRAINT experiments_exposure_epoch_check CHECK ((epoch >= 0)),
    CONSTRAINT experiments_exposure_last_epoch_check CHECK ((last_epoch >= 0))
);
ALTER TABLE ONLY experiments_exposure ALTER COLUMN experiment_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_exposure ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE experiments_exposure ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_exposure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_exposuretotal (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    units bigint NOT NULL,
    crossover_units bigint CONSTRAINT experiments_exposuretotal_doubled_not_null NOT NULL,
    experiment_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    segment character varying(100) NOT NULL,
    excluded bigint NOT NULL,
    claimed bigint DEFAULT 0 NOT NULL,
    CONSTRAINT experiments_exposuretotal_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE ONLY experiments_exposuretotal ALTER COLUMN experiment_id SET STATISTICS 0;
ALTER TABLE experiments_exposuretotal ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_exposuretotal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_feedback (
    id bigint NOT NULL,
    feedback_id character varying(200) NOT NULL,
    recommendation_id uuid NOT NULL,
    item_id character varying(200) NOT NULL,
    unit_id character varying(200) NOT NULL,
    kind character varying(16) NOT NULL,
    value double precision,
    "position" integer,
    propensity double precision,
    received_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    model_version_id bigint,
    project_id bigint NOT NULL,
    variant_id bigint,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    flags character varying(16)[] NOT NULL,
    redacted character varying(16)[] NOT NULL,
    reviewed_at timestamp with time zone,
    reviewed_by character varying(150) NOT NULL,
    state character varying(8) NOT NULL,
    state_reason character varying(200) NOT NULL,
    tags character varying(64)[] NOT NULL,
    text text NOT NULL,
    trainable boolean NOT NULL,
    withdrawn boolean NOT NULL,
    trusted boolean DEFAULT false NOT NULL,
    answer text DEFAULT ''::text NOT NULL,
    CONSTRAINT experiments_feedback_position_check CHECK (("position" >= 0))
);
ALTER TABLE ONLY experiments_feedback ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE experiments_feedback ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_feedback_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_holdout (
    id bigint NOT NULL,
    share double precision NOT NULL,
    salt character varying(64) NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT a_holdout_is_half_at_most CHECK (((share >= (0.0)::double precision) AND (share <= (0.5)::double precision)))
);
ALTER TABLE experiments_holdout ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_holdout_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_interleavedunit (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    exposed_at timestamp with time zone NOT NULL,
    score double precision NOT NULL,
    control double precision NOT NULL,
    team integer NOT NULL,
    slates integer NOT NULL,
    failed integer NOT NULL,
    experiment_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    control_failed integer DEFAULT 0 NOT NULL,
    version_failed integer,
    weighted double precision,
    CONSTRAINT experiments_interleavedunit_control_failed_check CHECK ((control_failed >= 0)),
    CONSTRAINT experiments_interleavedunit_failed_check CHECK ((failed >= 0)),
    CONSTRAINT experiments_interleavedunit_slates_check CHECK ((slates >= 0)),
    CONSTRAINT experiments_interleavedunit_version_failed_check CHECK ((version_failed >= 0))
);
ALTER TABLE experiments_interleavedunit ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_interleavedunit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_interleaving (
    id bigint NOT NULL,
    swaps jsonb NOT NULL,
    decay double precision NOT NULL,
    experiment_id bigint NOT NULL
);
ALTER TABLE experiments_interleaving ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_interleaving_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_judgement (
    id bigint NOT NULL,
    generation_id uuid NOT NULL,
    unit_id character varying(200) NOT NULL,
    probability double precision NOT NULL,
    score double precision,
    rationale text NOT NULL,
    error character varying(200) NOT NULL,
    cost double precision NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    experiment_id bigint,
    judge_id bigint NOT NULL,
    project_id bigint NOT NULL,
    shadow_id bigint,
    surface_id bigint NOT NULL,
    variant_id bigint,
    CONSTRAINT a_judge_scores_from_0_to_1 CHECK (((score IS NULL) OR ((score >= (0.0)::double precision) AND (score <= (1.0)::double precision)))),
    CONSTRAINT a_judged_answer_was_drawn CHECK (((probability > (0.0)::double precision) AND (probability <= (1.0)::double precision)))
);
ALTER TABLE experiments_judgement ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_judgement_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_judgeplan (
    id bigint NOT NULL,
    rubric text NOT NULL,
    points smallint NOT NULL,
    judge_share double precision NOT NULL,
    label_share double precision NOT NULL,
    daily_cost double precision NOT NULL,
    judge_id bigint,
    surface_id bigint NOT NULL,
    check_cost_ratio double precision DEFAULT 1.25 NOT NULL,
    check_latency_ratio double precision DEFAULT 1.5 NOT NULL,
    check_margin double precision DEFAULT 0.05 NOT NULL,
    check_min_share double precision DEFAULT 0.9 NOT NULL,
    CONSTRAINT a_judge_has_a_budget_of_0_or_more CHECK ((daily_cost >= (0.0)::double precision)),
    CONSTRAINT a_scale_has_2_to_10_points CHECK (((points >= 2) AND (points <= 10))),
    CONSTRAINT experiments_judgeplan_points_check CHECK ((points >= 0)),
    CONSTRAINT judged_shares_are_shares CHECK (((judge_share >= (0.0)::double precision) AND (judge_share <= (1.0)::double precision) AND (label_share >= (0.0)::double precision) AND (label_share <= (1.0)::double precision))),
    CONSTRAINT margins_of_checks_are_in_range CHECK (((check_margin > (0.0)::double precision) AND (check_margin <= (1.0)::double precision) AND (check_min_share >= (0.0)::double precision) AND (check_min_share <= (1.0)::double precision) AND (check_cost_ratio >= (1.0)::double precision) AND (check_latency_ratio >= (1.0)::double precision)))
);
ALTER TABLE experiments_judgeplan ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_judgeplan_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_labelopinion (
    id bigint NOT NULL,
    reviewer character varying(150) NOT NULL,
    label character varying(200) NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    task_id bigint NOT NULL
);
ALTER TABLE experiments_labelopinion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_labelopinion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_labeltask (
    id bigint NOT NULL,
    source_id character varying(220) NOT NULL,
    unit_id character varying(200) NOT NULL,
    text text NOT NULL,
    features jsonb NOT NULL,
    uncertainty double precision NOT NULL,
    state character varying(8) NOT NULL,
    label character varying(200) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    decided_at timestamp with time zone,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    CONSTRAINT an_agreed_task_has_its_label CHECK (((NOT ((state)::text = 'agreed'::text)) OR (NOT ((label)::text = ''::text))))
);
ALTER TABLE experiments_labeltask ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_labeltask_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_layer (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    salt character varying(64) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT layer_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE experiments_layer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_layer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_link (
    id bigint NOT NULL,
    anonymous_id character varying(200) NOT NULL,
    user_id character varying(200) NOT NULL,
    alias character varying(200),
    unit_id character varying(200) NOT NULL,
    other_unit_id character varying(200) NOT NULL,
    linked_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE ONLY experiments_link ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE experiments_link ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_link_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_look (
    id bigint NOT NULL,
    number integer NOT NULL,
    taken_at timestamp with time zone NOT NULL,
    batch integer NOT NULL,
    information double precision NOT NULL,
    inputs jsonb NOT NULL,
    result jsonb NOT NULL,
    action character varying(24) NOT NULL,
    reason text NOT NULL,
    experiment_id bigint NOT NULL,
    serving jsonb NOT NULL,
    quality jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT experiments_look_batch_check CHECK ((batch >= 0)),
    CONSTRAINT experiments_look_number_check CHECK ((number >= 0))
);
ALTER TABLE experiments_look ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_look_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_metric (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    name character varying(200) NOT NULL,
    kind character varying(16) NOT NULL,
    event character varying(100) CONSTRAINT experiments_metric_event_name_not_null NOT NULL,
    value character varying(8) NOT NULL,
    denominator character varying(100) CONSTRAINT experiments_metric_denominator_event_not_null NOT NULL,
    attributed_only boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    cap double precision,
    cap_quantile double precision,
    lookback_seconds double precision,
    delay_seconds double precision NOT NULL,
    filters jsonb NOT NULL,
    quantile double precision NOT NULL,
    steps jsonb NOT NULL,
    window_seconds double precision,
    trusted_only boolean DEFAULT false NOT NULL,
    direction character varying(8) NOT NULL,
    covariate character varying(16) DEFAULT 'history'::character varying NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    owner character varying(150) DEFAULT ''::character varying NOT NULL,
    tags jsonb DEFAULT '[]'::jsonb NOT NULL,
    archived_at timestamp with time zone,
    CONSTRAINT a_metric_counts_an_event CHECK ((((kind)::text = 'funnel'::text) OR (NOT ((event)::text = ''::text)))),
    CONSTRAINT a_quantile_is_a_share CHECK (((quantile > (0.0)::double precision) AND (quantile < (1.0)::double precision))),
    CONSTRAINT a_ratio_has_a_denominator CHECK (((NOT ((kind)::text = 'ratio'::text)) OR (NOT ((denominator)::text = ''::text)))),
    CONSTRAINT metric_archive_time_is_readable CHECK (((archived_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (archived_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT metric_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE experiments_metric ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_metric_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_observation (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    unit_id character varying(200) NOT NULL,
    exposed_at timestamp with time zone NOT NULL,
    value double precision CONSTRAINT experiments_observation_y_not_null NOT NULL,
    denominator double precision CONSTRAINT experiments_observation_d_not_null NOT NULL,
    batch integer,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    segments character varying(100)[] NOT NULL,
    uncapped_value double precision CONSTRAINT experiments_observation_u_not_null NOT NULL,
    denominator_covariate double precision CONSTRAINT experiments_observation_w_not_null NOT NULL,
    covariate double precision CONSTRAINT experiments_observation_x_not_null NOT NULL,
    bet boolean DEFAULT true NOT NULL,
    cluster character varying(200) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT experiments_observation_batch_check CHECK ((batch >= 0)),
    CONSTRAINT experiments_observation_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE ONLY experiments_observation ALTER COLUMN experiment_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_observation ALTER COLUMN metric_id SET STATISTICS 0;
ALTER TABLE experiments_observation ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_observation_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_programme (
    id bigint NOT NULL,
    guardrails jsonb NOT NULL,
    ramp jsonb NOT NULL,
    ship_when character varying(16) NOT NULL,
    holdback_share double precision NOT NULL,
    holdback_days double precision NOT NULL,
    cooldown_days double precision NOT NULL,
    approval character varying(16) NOT NULL,
    breaker_alpha double precision NOT NULL,
    refresh character varying(16) NOT NULL,
    paused boolean NOT NULL,
    primary_metric_id bigint,
    surface_id bigint NOT NULL,
    interleave_first smallint DEFAULT 0 NOT NULL,
    CONSTRAINT at_most_three_are_screened_at_once CHECK ((interleave_first <= 3)),
    CONSTRAINT breaker_alpha_is_small CHECK (((breaker_alpha >= (0.0)::double precision) AND (breaker_alpha <= (0.05)::double precision))),
    CONSTRAINT experiments_programme_interleave_first_check CHECK ((interleave_first >= 0)),
    CONSTRAINT holdback_leaves_half CHECK (((holdback_share >= (0.0)::double precision) AND (holdback_share < (0.25)::double precision))),
    CONSTRAINT programme_days_are_not_negative CHECK (((holdback_days >= (0.0)::double precision) AND (cooldown_days >= (0.0)::double precision)))
);
ALTER TABLE experiments_programme ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_programme_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_proposal (
    id bigint NOT NULL,
    kind character varying(16) NOT NULL,
    variant character varying(64) NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    required_approvals smallint NOT NULL,
    state character varying(16) NOT NULL,
    refusal text NOT NULL,
    outcome text NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    decided_at timestamp with time zone,
    experiment_id bigint,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    version_id bigint,
    CONSTRAINT experiments_proposal_required_approvals_check CHECK ((required_approvals >= 0)),
    CONSTRAINT one_or_two_people_approve CHECK (((required_approvals >= 1) AND (required_approvals <= 2))),
    CONSTRAINT proposal_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((decided_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (decided_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE experiments_proposal ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_proposal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_quantilecount (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    segment character varying(100) NOT NULL,
    bucket integer NOT NULL,
    units bigint NOT NULL,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    CONSTRAINT experiments_quantilecount_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE ONLY experiments_quantilecount ALTER COLUMN experiment_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_quantilecount ALTER COLUMN metric_id SET STATISTICS 0;
ALTER TABLE experiments_quantilecount ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_quantilecount_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_quarantinedexposure (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    unit_id character varying(200) NOT NULL,
    exposed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    reason character varying(16) NOT NULL,
    experiment_id bigint NOT NULL,
    project_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    CONSTRAINT experiments_quarantinedexposure_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE experiments_quarantinedexposure ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_quarantinedexposure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_reportshare (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    page text NOT NULL,
    created_by character varying(150) CONSTRAINT experiments_reportshare_made_by_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    experiment_id bigint NOT NULL,
    CONSTRAINT share_times_are_readable CHECK ((((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((revoked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (revoked_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE experiments_reportshare ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_reportshare_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_review (
    id bigint NOT NULL,
    reviewer character varying(150) NOT NULL,
    state character varying(16) NOT NULL,
    reason character varying(200) NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    feedback_id bigint NOT NULL
);
ALTER TABLE experiments_review ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_review_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_rowanswer (
    id bigint NOT NULL,
    text text NOT NULL,
    error character varying(200) NOT NULL,
    cost double precision NOT NULL,
    latency_ms double precision NOT NULL,
    row_id bigint NOT NULL,
    version_id bigint NOT NULL
);
ALTER TABLE experiments_rowanswer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_rowanswer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_ruleversion (
    id bigint NOT NULL,
    number integer NOT NULL,
    name character varying(100) NOT NULL,
    rules jsonb NOT NULL,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    surface_id bigint NOT NULL,
    CONSTRAINT experiments_ruleversion_number_check CHECK ((number >= 0)),
    CONSTRAINT rule_version_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE experiments_ruleversion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_ruleversion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_sampledanswer (
    id bigint NOT NULL,
    generation_id uuid NOT NULL,
    unit_id character varying(200) NOT NULL,
    draw double precision NOT NULL,
    probability double precision NOT NULL,
    points smallint NOT NULL,
    state character varying(8) NOT NULL,
    score double precision,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    rated_at timestamp with time zone,
    experiment_id bigint NOT NULL,
    project_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    CONSTRAINT a_rated_answer_has_its_score CHECK ((((score >= (0.0)::double precision) AND (score <= (1.0)::double precision) AND ((state)::text = 'rated'::text)) OR ((score IS NULL) AND ((state)::text = 'open'::text)))),
    CONSTRAINT a_sampled_answer_was_drawn CHECK (((probability > (0.0)::double precision) AND (probability <= (1.0)::double precision) AND (draw < probability))),
    CONSTRAINT experiments_sampledanswer_points_check CHECK ((points >= 0))
);
ALTER TABLE experiments_sampledanswer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_sampledanswer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_savedgroup (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    attribute character varying(100) NOT NULL,
    "values" jsonb NOT NULL,
    condition jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    CONSTRAINT group_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE experiments_savedgroup ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_savedgroup_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_segmentsatstart (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    segments character varying(100)[] NOT NULL,
    experiment_id bigint NOT NULL
);
ALTER TABLE experiments_segmentsatstart ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_segmentsatstart_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_slate (
    recommendation_id uuid CONSTRAINT experiments_slate_recommendation_id_not_null1 NOT NULL,
    project_id bigint CONSTRAINT experiments_slate_project_id_not_null1 NOT NULL,
    surface_id bigint CONSTRAINT experiments_slate_surface_id_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT experiments_slate_xid_not_null1 NOT NULL,
    experiment_id bigint,
    variant_id bigint,
    model_version_id bigint,
    served_at timestamp with time zone CONSTRAINT experiments_slate_served_at_not_null1 NOT NULL,
    variant_weight double precision,
    exploration double precision CONSTRAINT experiments_slate_exploration_not_null1 NOT NULL,
    latency_ms double precision CONSTRAINT experiments_slate_latency_ms_not_null1 NOT NULL,
    candidate_count integer CONSTRAINT experiments_slate_candidate_count_not_null1 NOT NULL,
    forced boolean CONSTRAINT experiments_slate_forced_not_null1 NOT NULL,
    trainable boolean CONSTRAINT experiments_slate_trainable_not_null1 NOT NULL,
    reason character varying(32) CONSTRAINT experiments_slate_reason_not_null1 NOT NULL,
    fallback character varying(32),
    candidate_hash character varying(16) CONSTRAINT experiments_slate_candidate_hash_not_null1 NOT NULL,
    unit_id character varying(200) CONSTRAINT experiments_slate_unit_id_not_null1 NOT NULL,
    slots jsonb CONSTRAINT experiments_slate_slots_not_null1 NOT NULL,
    context jsonb CONSTRAINT experiments_slate_context_not_null1 NOT NULL,
    pair jsonb,
    cost double precision DEFAULT 0.0 NOT NULL,
    generation jsonb,
    draft jsonb,
    CONSTRAINT experiments_slate_candidate_count_check1 CHECK ((candidate_count >= 0))
)
PARTITION BY RANGE (recommendation_id);
ALTER TABLE ONLY experiments_slate ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_slate ALTER COLUMN experiment_id SET STATISTICS 0;
CREATE TABLE experiments_slate_default (
    recommendation_id uuid CONSTRAINT experiments_slate_recommendation_id_not_null1 NOT NULL,
    project_id bigint CONSTRAINT experiments_slate_project_id_not_null1 NOT NULL,
    surface_id bigint CONSTRAINT experiments_slate_surface_id_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT experiments_slate_xid_not_null1 NOT NULL,
    experiment_id bigint,
    variant_id bigint,
    model_version_id bigint,
    served_at timestamp with time zone CONSTRAINT experiments_slate_served_at_not_null1 NOT NULL,
    variant_weight double precision,
    exploration double precision CONSTRAINT experiments_slate_exploration_not_null1 NOT NULL,
    latency_ms double precision CONSTRAINT experiments_slate_latency_ms_not_null1 NOT NULL,
    candidate_count integer CONSTRAINT experiments_slate_candidate_count_not_null1 NOT NULL,
    forced boolean CONSTRAINT experiments_slate_forced_not_null1 NOT NULL,
    trainable boolean CONSTRAINT experiments_slate_trainable_not_null1 NOT NULL,
    reason character varying(32) CONSTRAINT experiments_slate_reason_not_null1 NOT NULL,
    fallback character varying(32),
    candidate_hash character varying(16) CONSTRAINT experiments_slate_candidate_hash_not_null1 NOT NULL,
    unit_id character varying(200) CONSTRAINT experiments_slate_unit_id_not_null1 NOT NULL,
    slots jsonb CONSTRAINT experiments_slate_slots_not_null1 NOT NULL,
    context jsonb CONSTRAINT experiments_slate_context_not_null1 NOT NULL,
    pair jsonb,
    cost double precision DEFAULT 0.0 CONSTRAINT experiments_slate_cost_not_null NOT NULL,
    generation jsonb,
    draft jsonb,
    CONSTRAINT experiments_slate_candidate_count_check1 CHECK ((candidate_count >= 0))
);
ALTER TABLE ONLY experiments_slate_default ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_slate_default ALTER COLUMN experiment_id SET STATISTICS 0;
CREATE TABLE experiments_survey (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    kind character varying(8) NOT NULL,
    question character varying(200) NOT NULL,
    choices character varying(64)[] NOT NULL,
    share double precision NOT NULL,
    period_days integer NOT NULL,
    asks_comment boolean NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    condition jsonb DEFAULT '{}'::jsonb NOT NULL,
    translations jsonb DEFAULT '{}'::jsonb NOT NULL,
    variants jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT a_survey_asks_somebody CHECK (((share > (0.0)::double precision) AND (share <= (1.0)::double precision))),
    CONSTRAINT experiments_survey_period_days_check CHECK ((period_days >= 0))
);
ALTER TABLE experiments_survey ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_survey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_theme (
    id bigint NOT NULL,
    words character varying(100)[] NOT NULL,
    space character varying(64) NOT NULL,
    centre bytea NOT NULL,
    texts integer NOT NULL,
    units integer NOT NULL,
    weeks jsonb NOT NULL,
    growth jsonb NOT NULL,
    first_text_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    gone_at timestamp with time zone,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    name character varying(60) DEFAULT ''::character varying NOT NULL,
    named_by_id bigint,
    named_from bigint[],
    CONSTRAINT a_theme_has_texts CHECK (((texts >= units) AND (units >= 1))),
    CONSTRAINT experiments_theme_texts_check CHECK ((texts >= 0)),
    CONSTRAINT experiments_theme_units_check CHECK ((units >= 0))
);
ALTER TABLE experiments_theme ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_theme_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_themedtext (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    space character varying(64) NOT NULL,
    vector bytea NOT NULL,
    closeness double precision NOT NULL,
    feedback_id bigint NOT NULL,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    theme_id bigint,
    label character varying(200) DEFAULT ''::character varying NOT NULL,
    labelled_by_id bigint
);
ALTER TABLE experiments_themedtext ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_themedtext_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_themereading (
    id bigint NOT NULL,
    texts integer NOT NULL,
    themed integer NOT NULL,
    last_feedback bigint NOT NULL,
    weeks jsonb NOT NULL,
    read_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    surface_id bigint NOT NULL,
    CONSTRAINT experiments_themereading_texts_check CHECK ((texts >= 0)),
    CONSTRAINT experiments_themereading_themed_check CHECK ((themed >= 0)),
    CONSTRAINT themed_texts_were_read CHECK ((themed <= texts))
);
ALTER TABLE experiments_themereading ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_themereading_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_total (
    id bigint NOT NULL,
    epoch integer NOT NULL,
    batch integer NOT NULL,
    n bigint NOT NULL,
    nonzero bigint NOT NULL,
    sum_value double precision CONSTRAINT experiments_total_sum_y_not_null NOT NULL,
    sum_value_squared double precision CONSTRAINT experiments_total_sum_yy_not_null NOT NULL,
    sum_denominator double precision CONSTRAINT experiments_total_sum_d_not_null NOT NULL,
    sum_denominator_squared double precision CONSTRAINT experiments_total_sum_dd_not_null NOT NULL,
    sum_value_times_denominator double precision CONSTRAINT experiments_total_sum_yd_not_null NOT NULL,
    corrections bigint NOT NULL,
    experiment_id bigint NOT NULL,
    metric_id bigint NOT NULL,
    variant_id bigint NOT NULL,
    segment character varying(100) NOT NULL,
    sum_denominator_times_denominator_covariate double precision CONSTRAINT experiments_total_sum_dw_not_null NOT NULL,
    sum_denominator_times_covariate double precision CONSTRAINT experiments_total_sum_dx_not_null NOT NULL,
    sum_uncapped_value double precision CONSTRAINT experiments_total_sum_u_not_null NOT NULL,
    sum_uncapped_value_squared double precision CONSTRAINT experiments_total_sum_uu_not_null NOT NULL,
    sum_denominator_covariate double precision CONSTRAINT experiments_total_sum_w_not_null NOT NULL,
    sum_denominator_covariate_squared double precision CONSTRAINT experiments_total_sum_ww_not_null NOT NULL,
    sum_covariate double precision CONSTRAINT experiments_total_sum_x_not_null NOT NULL,
    sum_covariate_times_denominator_covariate double precision CONSTRAINT experiments_total_sum_xw_not_null NOT NULL,
    sum_covariate_squared double precision CONSTRAINT experiments_total_sum_xx_not_null NOT NULL,
    sum_value_times_denominator_covariate double precision CONSTRAINT experiments_total_sum_yw_not_null NOT NULL,
    sum_value_times_covariate double precision CONSTRAINT experiments_total_sum_yx_not_null NOT NULL,
    CONSTRAINT experiments_total_batch_check CHECK ((batch >= 0)),
    CONSTRAINT experiments_total_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE ONLY experiments_total ALTER COLUMN experiment_id SET STATISTICS 0;
ALTER TABLE ONLY experiments_total ALTER COLUMN metric_id SET STATISTICS 0;
ALTER TABLE experiments_total ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_total_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_transactionclock (
    id smallint NOT NULL,
    cluster character varying(20) NOT NULL,
    "offset" bigint NOT NULL,
    CONSTRAINT there_is_one_transaction_clock CHECK ((id = 1))
);
CREATE TABLE experiments_unit (
    id bigint NOT NULL,
    unit_id character varying(200) NOT NULL,
    attributes jsonb NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE ONLY experiments_unit ALTER COLUMN project_id SET STATISTICS 0;
ALTER TABLE experiments_unit ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_unit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_variant (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    is_control boolean NOT NULL,
    weight double precision NOT NULL,
    experiment_id bigint NOT NULL,
    model_version_id bigint,
    value jsonb,
    rules_id bigint,
    CONSTRAINT weight_is_a_share CHECK (((weight >= (0.0)::double precision) AND (weight <= (1.0)::double precision)))
);
ALTER TABLE experiments_variant ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_variant_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE experiments_variantpicture (
    variant_id bigint NOT NULL,
    content bytea NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT experiments_variantpicture_height_check CHECK ((height >= 0)),
    CONSTRAINT experiments_variantpicture_width_check CHECK ((width >= 0)),
    CONSTRAINT picture_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
CREATE TABLE experiments_versioncheck (
    id bigint NOT NULL,
    state character varying(8) NOT NULL,
    message character varying(300) NOT NULL,
    result jsonb NOT NULL,
    created_by character varying(150) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    lease_until timestamp with time zone,
    data_set_id bigint NOT NULL,
    project_id bigint NOT NULL,
    rival_id bigint,
    version_id bigint NOT NULL
);
ALTER TABLE experiments_versioncheck ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME experiments_versioncheck_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_aliasmove (
    id bigint NOT NULL,
    before character varying(16) NOT NULL,
    after character varying(16) NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL,
    moved_by character varying(150) NOT NULL,
    moved_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    version_id bigint NOT NULL
);
ALTER TABLE inference_aliasmove ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_aliasmove_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_artifactstore (
    id smallint NOT NULL,
    store_id uuid NOT NULL,
    adopted_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    CONSTRAINT there_is_one_artifact_store CHECK ((id = 1))
);
CREATE TABLE inference_cataloguestate (
    project_id bigint NOT NULL,
    number bigint NOT NULL,
    words_collected_at timestamp with time zone,
    words_number bigint,
    property_names text[],
    CONSTRAINT inference_cataloguestate_number_check CHECK ((number >= 0)),
    CONSTRAINT inference_cataloguestate_words_number_check CHECK ((words_number >= 0))
);
CREATE TABLE inference_driftreport (
    id bigint NOT NULL,
    measured_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    rows jsonb NOT NULL,
    drifted boolean NOT NULL,
    retrained boolean NOT NULL,
    surface_id bigint NOT NULL
);
ALTER TABLE inference_driftreport ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_driftreport_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_example (
    id bigint NOT NULL,
    example_id character varying(200) NOT NULL,
    text text NOT NULL,
    features jsonb NOT NULL,
    label character varying(200) NOT NULL,
    labelled_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    surface_id bigint NOT NULL,
    CONSTRAINT an_example_has_a_label CHECK ((NOT ((label)::text = ''::text)))
);
ALTER TABLE inference_example ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_example_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_fetchedimage (
    id bigint NOT NULL,
    url_sha256 character varying(64) NOT NULL,
    url character varying(2000) NOT NULL,
    image_sha256 character varying(64) DEFAULT ''::character varying NOT NULL,
    refusal character varying(400) DEFAULT ''::character varying NOT NULL,
    tries smallint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT statement_timestamp(),
    fetched_at timestamp with time zone,
    project_id bigint NOT NULL,
    CONSTRAINT inference_fetchedimage_tries_check CHECK ((tries >= 0))
);
ALTER TABLE inference_fetchedimage ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_fetchedimage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_imagevector (
    id bigint NOT NULL,
    encoder_sha256 character varying(64) NOT NULL,
    image_sha256 character varying(64) NOT NULL,
    vector bytea NOT NULL
);
ALTER TABLE inference_imagevector ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_imagevector_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_item (
    id bigint NOT NULL,
    item_id character varying(200) NOT NULL,
    title character varying(500) NOT NULL,
    text text NOT NULL,
    properties jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    project_id bigint NOT NULL,
    vector bytea,
    vector_due_at timestamp with time zone DEFAULT statement_timestamp(),
    available boolean DEFAULT true NOT NULL,
    change bigint DEFAULT 0 NOT NULL,
    deleted_at timestamp with time zone,
    expires_at timestamp with time zone,
    group_id character varying(200) DEFAULT ''::character varying NOT NULL,
    image_url character varying(2000) DEFAULT ''::character varying NOT NULL,
    labels jsonb DEFAULT '[]'::jsonb NOT NULL,
    price double precision,
    published_at timestamp with time zone,
    url character varying(2000) DEFAULT ''::character varying NOT NULL,
    neighbours jsonb DEFAULT '[]'::jsonb NOT NULL,
    document tsvector GENERATED ALWAYS AS ((((setweight(to_tsvector('simple'::regconfig, (title)::text), 'A'::"char") || setweight(jsonb_to_tsvector('simple'::regconfig, labels, '["string"]'::jsonb), 'B'::"char")) || setweight(jsonb_to_tsvector('simple'::regconfig, properties, '["string"]'::jsonb), 'C'::"char")) || setweight(to_tsvector('simple'::regconfig, text), 'D'::"char"))) STORED,
    image_sha256 character varying(64) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT inference_item_change_check CHECK ((change >= 0)),
    CONSTRAINT item_times_are_readable CHECK ((((published_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (published_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE inference_item ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_item_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_itemvector (
    id bigint NOT NULL,
    encoder_sha256 character varying(64) NOT NULL,
    text_sha256 character varying(64) NOT NULL,
    vector bytea NOT NULL
);
ALTER TABLE inference_itemvector ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_itemvector_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_itemword (
    id bigint NOT NULL,
    word character varying(64) NOT NULL COLLATE pg_catalog."C",
    folded character varying(256) NOT NULL COLLATE pg_catalog."C",
    near integer[] NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE inference_itemword ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_itemword_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_modelversion (
    id bigint NOT NULL,
    algorithm character varying(64) CONSTRAINT inference_modelversion_name_not_null NOT NULL,
    number integer NOT NULL,
    alias character varying(16) NOT NULL,
    artifact_sha256 character varying(64) NOT NULL,
    encoder_sha256 character varying(64) NOT NULL,
    params jsonb NOT NULL,
    metrics jsonb NOT NULL,
    gate jsonb NOT NULL,
    code_version character varying(64) NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    parent_id bigint,
    snapshot_id bigint,
    surface_id bigint NOT NULL,
    CONSTRAINT inference_modelversion_number_check CHECK ((number >= 0)),
    CONSTRAINT version_times_are_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE inference_modelversion ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_modelversion_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_policycount (
    id bigint NOT NULL,
    since timestamp with time zone,
    settings jsonb NOT NULL,
    points jsonb NOT NULL,
    watermark bigint NOT NULL,
    recount_from uuid,
    surface_id bigint NOT NULL,
    stored_from uuid,
    counted_until timestamp with time zone,
    running jsonb,
    running_upper bigint,
    running_expected bigint
);
ALTER TABLE inference_policycount ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_policycount_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_runlogline (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    attempt integer NOT NULL,
    level character varying(8) NOT NULL,
    text character varying(500) NOT NULL,
    run_id bigint NOT NULL,
    CONSTRAINT inference_runlogline_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT run_log_times_are_readable CHECK (((at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (at <= '9999-12-30 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE inference_runlogline ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_runlogline_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_shadowanswer (
    id bigint NOT NULL,
    recommendation_id uuid NOT NULL,
    served_by character varying(100) NOT NULL,
    overlap double precision,
    correlation double precision,
    latency_ms double precision,
    error character varying(300) NOT NULL,
    answered_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    version_id bigint NOT NULL,
    cost double precision DEFAULT 0.0 NOT NULL,
    experiment_id bigint,
    text text DEFAULT ''::text NOT NULL,
    tokens integer DEFAULT 0 NOT NULL,
    unit_id character varying(200) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT inference_shadowanswer_tokens_check CHECK ((tokens >= 0))
);
ALTER TABLE inference_shadowanswer ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_shadowanswer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_snapshot (
    id bigint NOT NULL,
    sha256 character varying(64) NOT NULL,
    rows bigint NOT NULL,
    units bigint NOT NULL,
    watermark timestamp with time zone,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    destroyed_at timestamp with time zone,
    surface_id bigint NOT NULL,
    CONSTRAINT inference_snapshot_rows_check CHECK ((rows >= 0)),
    CONSTRAINT inference_snapshot_units_check CHECK ((units >= 0))
);
ALTER TABLE inference_snapshot ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_snapshot_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_surface (
    id bigint NOT NULL,
    key character varying(64) NOT NULL,
    kind character varying(16) NOT NULL,
    static_list jsonb NOT NULL,
    candidates integer NOT NULL,
    exploration double precision NOT NULL,
    liked_events jsonb NOT NULL,
    retrain_algorithm character varying(32) CONSTRAINT inference_surface_retrain_recommender_not_null NOT NULL,
    retrain_every_seconds integer NOT NULL,
    retrain_params jsonb NOT NULL,
    start_experiments boolean NOT NULL,
    policy jsonb NOT NULL,
    seed character varying(64) NOT NULL,
    last_retrained_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL,
    attribution_seconds integer NOT NULL,
    credited_events jsonb NOT NULL,
    retrain_on_drift boolean NOT NULL,
    shadow_share double precision NOT NULL,
    shadow_first integer NOT NULL,
    labels jsonb DEFAULT '[]'::jsonb NOT NULL,
    retraining_until timestamp with time zone,
    rules jsonb DEFAULT '{}'::jsonb NOT NULL,
    abstain_cost double precision,
    costs jsonb DEFAULT '{}'::jsonb NOT NULL,
    max_gap double precision,
    slices jsonb DEFAULT '[]'::jsonb NOT NULL,
    generate jsonb DEFAULT '{}'::jsonb NOT NULL,
    event_weights jsonb DEFAULT '{}'::jsonb NOT NULL,
    context_features jsonb DEFAULT '[]'::jsonb NOT NULL,
    rank jsonb DEFAULT '{}'::jsonb NOT NULL,
    text_classifier character varying(64) DEFAULT ''::character varying NOT NULL,
    theme_namer character varying(64) DEFAULT ''::character varying NOT NULL,
    archived_at timestamp with time zone,
    CONSTRAINT candidates_is_positive CHECK ((candidates >= 1)),
    CONSTRAINT exploration_is_not_negative CHECK ((exploration >= (0.0)::double precision)),
    CONSTRAINT inference_surface_attribution_seconds_check CHECK ((attribution_seconds >= 0)),
    CONSTRAINT inference_surface_candidates_check CHECK ((candidates >= 0)),
    CONSTRAINT inference_surface_retrain_every_seconds_check CHECK ((retrain_every_seconds >= 0)),
    CONSTRAINT inference_surface_shadow_first_check CHECK ((shadow_first >= 0)),
    CONSTRAINT shadow_share_is_a_share CHECK (((shadow_share >= (0.0)::double precision) AND (shadow_share <= (1.0)::double precision))),
    CONSTRAINT surface_archive_time_is_readable CHECK (((archived_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (archived_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT surface_times_are_readable CHECK ((((last_retrained_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_retrained_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((retraining_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (retraining_until <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE inference_surface ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_surface_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_trainingrun (
    id bigint NOT NULL,
    algorithm character varying(64) CONSTRAINT inference_trainingrun_recommender_not_null NOT NULL,
    trigger character varying(32) NOT NULL,
    state character varying(16) NOT NULL,
    params jsonb NOT NULL,
    progress double precision NOT NULL,
    message text NOT NULL,
    lease integer NOT NULL,
    heartbeat_at timestamp with time zone,
    queued_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    snapshot_id bigint,
    surface_id bigint NOT NULL,
    version_id bigint,
    attempts integer NOT NULL,
    compresses_id bigint,
    curve jsonb NOT NULL,
    answers_id bigint,
    notes jsonb DEFAULT '[]'::jsonb NOT NULL,
    tested_version_id bigint,
    stage jsonb DEFAULT '{}'::jsonb NOT NULL,
    texts_id bigint,
    CONSTRAINT inference_trainingrun_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT inference_trainingrun_lease_check CHECK ((lease >= 0)),
    CONSTRAINT progress_is_a_share CHECK (((progress >= (0.0)::double precision) AND (progress <= (1.0)::double precision))),
    CONSTRAINT run_times_are_readable CHECK ((((heartbeat_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (heartbeat_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((queued_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (queued_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((started_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (started_at <= '9999-12-30 00:00:00+00'::timestamp with time zone)) AND ((ended_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ended_at <= '9999-12-30 00:00:00+00'::timestamp with time zone))))
);
ALTER TABLE inference_trainingrun ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_trainingrun_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE inference_uploadedimage (
    id bigint NOT NULL,
    sha256 character varying(64) NOT NULL,
    content bytea NOT NULL,
    created_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    project_id bigint NOT NULL
);
ALTER TABLE inference_uploadedimage ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME inference_uploadedimage_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY experiments_event ATTACH PARTITION experiments_event_default DEFAULT;
ALTER TABLE ONLY experiments_slate ATTACH PARTITION experiments_slate_default DEFAULT;
ALTER TABLE ONLY experiments_event ALTER COLUMN id SET DEFAULT nextval('experiments_event_number'::regclass);
ALTER TABLE ONLY experiments_blocksum
    ADD CONSTRAINT a_block_has_one_sum_per_metric UNIQUE (experiment_id, metric_id, number);
ALTER TABLE ONLY experiments_quarantinedexposure
    ADD CONSTRAINT a_claim_is_quarantined_once UNIQUE (experiment_id, unit_id, variant_id);
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT a_judge_judges_an_answer_once UNIQUE NULLS NOT DISTINCT (generation_id, judge_id, shadow_id);
ALTER TABLE ONLY experiments_experimentmetric
    ADD CONSTRAINT a_metric_has_one_role UNIQUE (experiment_id, metric_id);
ALTER TABLE ONLY experiments_archivedmonth
    ADD CONSTRAINT a_month_is_archived_once UNIQUE (project_id, "table", month);
ALTER TABLE ONLY experiments_link
    ADD CONSTRAINT a_pair_is_linked_once UNIQUE (project_id, anonymous_id, user_id);
ALTER TABLE ONLY experiments_approval
    ADD CONSTRAINT a_person_approves_once UNIQUE (proposal_id, by);
ALTER TABLE ONLY experiments_labelopinion
    ADD CONSTRAINT a_person_labels_a_text_once UNIQUE (task_id, reviewer);
ALTER TABLE ONLY experiments_answerrating
    ADD CONSTRAINT a_person_rates_an_answer_once UNIQUE (answer_id, reviewer);
ALTER TABLE ONLY experiments_review
    ADD CONSTRAINT a_reviewer_judges_once_the_last_word UNIQUE (feedback_id, reviewer);
ALTER TABLE ONLY inference_shadowanswer
    ADD CONSTRAINT a_shadow_answers_once UNIQUE (version_id, recommendation_id);
ALTER TABLE ONLY inference_snapshot
    ADD CONSTRAINT a_snapshot_is_kept_once UNIQUE (surface_id, sha256);
ALTER TABLE ONLY experiments_dataset
    ADD CONSTRAINT a_surface_has_a_data_set_once UNIQUE (surface_id, key);
ALTER TABLE ONLY experiments_survey
    ADD CONSTRAINT a_survey_has_its_own_key UNIQUE (project_id, key);
ALTER TABLE ONLY inference_itemvector
    ADD CONSTRAINT a_text_is_embedded_once UNIQUE (encoder_sha256, text_sha256);
ALTER TABLE ONLY experiments_labeltask
    ADD CONSTRAINT a_text_is_queued_once UNIQUE (surface_id, source_id);
ALTER TABLE ONLY experiments_interleavedunit
    ADD CONSTRAINT a_unit_has_one_score_per_version UNIQUE (experiment_id, unit_id, variant_id);
ALTER TABLE ONLY experiments_segmentsatstart
    ADD CONSTRAINT a_unit_has_one_set_of_segments_at_the_start UNIQUE (experiment_id, unit_id);
ALTER TABLE ONLY experiments_observation
    ADD CONSTRAINT a_unit_has_one_value_per_metric UNIQUE (experiment_id, metric_id, unit_id);
ALTER TABLE ONLY experiments_excludedunit
    ADD CONSTRAINT a_unit_is_excluded_once UNIQUE (project_id, unit_id);
ALTER TABLE ONLY experiments_rowanswer
    ADD CONSTRAINT a_version_answers_a_row_once UNIQUE (row_id, version_id);
ALTER TABLE ONLY inference_modelversion
    ADD CONSTRAINT a_version_number_is_used_once UNIQUE (surface_id, algorithm, number);
ALTER TABLE ONLY inference_itemword
    ADD CONSTRAINT a_word_is_stored_once UNIQUE (project_id, word);
ALTER TABLE ONLY accounts_apikey
    ADD CONSTRAINT accounts_apikey_digest_key UNIQUE (digest);
ALTER TABLE ONLY accounts_apikey
    ADD CONSTRAINT accounts_apikey_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_auditentry
    ADD CONSTRAINT accounts_auditentry_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_externalidentity
    ADD CONSTRAINT accounts_externalidentity_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_invitation
    ADD CONSTRAINT accounts_invitation_digest_key UNIQUE (digest);
ALTER TABLE ONLY accounts_invitation
    ADD CONSTRAINT accounts_invitation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_membership
    ADD CONSTRAINT accounts_membership_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_monthlyusage
    ADD CONSTRAINT accounts_monthlyusage_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_passkey
    ADD CONSTRAINT accounts_passkey_credential_id_key UNIQUE (credential_id);
ALTER TABLE ONLY accounts_passkey
    ADD CONSTRAINT accounts_passkey_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_passwordreset
    ADD CONSTRAINT accounts_passwordreset_digest_key UNIQUE (digest);
ALTER TABLE ONLY accounts_passwordreset
    ADD CONSTRAINT accounts_passwordreset_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_project
    ADD CONSTRAINT accounts_project_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_project
    ADD CONSTRAINT accounts_project_slug_key UNIQUE (slug);
ALTER TABLE ONLY accounts_quota
    ADD CONSTRAINT accounts_quota_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_quota
    ADD CONSTRAINT accounts_quota_project_id_key UNIQUE (project_id);
ALTER TABLE ONLY accounts_recoverycode
    ADD CONSTRAINT accounts_recoverycode_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_savedview
    ADD CONSTRAINT accounts_savedview_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_secondfactor
    ADD CONSTRAINT accounts_secondfactor_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_secondfactor
    ADD CONSTRAINT accounts_secondfactor_user_id_key UNIQUE (user_id);
ALTER TABLE ONLY accounts_signedinsession
    ADD CONSTRAINT accounts_signedinsession_pkey PRIMARY KEY (id);
ALTER TABLE ONLY accounts_signedinsession
    ADD CONSTRAINT accounts_signedinsession_session_key_key UNIQUE (session_key);
ALTER TABLE ONLY accounts_usageentry
    ADD CONSTRAINT accounts_usageentry_pkey PRIMARY KEY (id);
ALTER TABLE ONLY alerts_alert
    ADD CONSTRAINT alerts_alert_pkey PRIMARY KEY (id);
ALTER TABLE ONLY alerts_delivery
    ADD CONSTRAINT alerts_delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY alerts_subscription
    ADD CONSTRAINT alerts_subscription_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_link
    ADD CONSTRAINT an_alias_stands_for_one_unit UNIQUE (project_id, alias);
ALTER TABLE ONLY experiments_exposure
    ADD CONSTRAINT an_exposure_is_recorded_once UNIQUE (experiment_id, unit_id, variant_id);
ALTER TABLE ONLY inference_imagevector
    ADD CONSTRAINT an_image_is_embedded_once UNIQUE (encoder_sha256, image_sha256);
ALTER TABLE ONLY inference_fetchedimage
    ADD CONSTRAINT an_image_is_fetched_once UNIQUE (project_id, url_sha256);
ALTER TABLE ONLY inference_uploadedimage
    ADD CONSTRAINT an_image_is_stored_once UNIQUE (project_id, sha256);
ALTER TABLE ONLY auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);
ALTER TABLE ONLY auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);
ALTER TABLE ONLY auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);
ALTER TABLE ONLY auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_user_groups
    ADD CONSTRAINT auth_user_groups_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_group_id_94350c0c_uniq UNIQUE (user_id, group_id);
ALTER TABLE ONLY auth_user
    ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_permission_id_14a6b632_uniq UNIQUE (user_id, permission_id);
ALTER TABLE ONLY auth_user
    ADD CONSTRAINT auth_user_username_key UNIQUE (username);
ALTER TABLE ONLY django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);
ALTER TABLE ONLY django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);
ALTER TABLE ONLY django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);
ALTER TABLE ONLY experiments_epoch
    ADD CONSTRAINT epochs_are_numbered UNIQUE (experiment_id, number);
ALTER TABLE ONLY inference_example
    ADD CONSTRAINT example_id_is_unique UNIQUE (surface_id, example_id);
ALTER TABLE ONLY experiments_experiment
    ADD CONSTRAINT experiment_key_is_unique UNIQUE (project_id, key);
ALTER TABLE ONLY experiments_answerrating
    ADD CONSTRAINT experiments_answerrating_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_approval
    ADD CONSTRAINT experiments_approval_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_archivedmonth
    ADD CONSTRAINT experiments_archivedmonth_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_blocksum
    ADD CONSTRAINT experiments_blocksum_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_breakercount
    ADD CONSTRAINT experiments_breakercount_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_challenger
    ADD CONSTRAINT experiments_challenger_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_challenger
    ADD CONSTRAINT experiments_challenger_version_id_key UNIQUE (version_id);
ALTER TABLE ONLY experiments_comment_mentioned
    ADD CONSTRAINT experiments_comment_mentioned_comment_id_user_id_50796910_uniq UNIQUE (comment_id, user_id);
ALTER TABLE ONLY experiments_comment_mentioned
    ADD CONSTRAINT experiments_comment_mentioned_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_comment
    ADD CONSTRAINT experiments_comment_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_dataexport
    ADD CONSTRAINT experiments_dataexport_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_dataset
    ADD CONSTRAINT experiments_dataset_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_datasetrow
    ADD CONSTRAINT experiments_datasetrow_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_sha256_key UNIQUE (sha256);
ALTER TABLE ONLY experiments_epoch
    ADD CONSTRAINT experiments_epoch_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_eventid
    ADD CONSTRAINT experiments_eventid_pkey PRIMARY KEY (project_id, event_id);
ALTER TABLE ONLY experiments_excludedunit
    ADD CONSTRAINT experiments_excludedunit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_experiment
    ADD CONSTRAINT experiments_experiment_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_experimentmetric
    ADD CONSTRAINT experiments_experimentmetric_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_exposure
    ADD CONSTRAINT experiments_exposure_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_exposuretotal
    ADD CONSTRAINT experiments_exposuretotal_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_feedback
    ADD CONSTRAINT experiments_feedback_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_holdout
    ADD CONSTRAINT experiments_holdout_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_holdout
    ADD CONSTRAINT experiments_holdout_project_id_key UNIQUE (project_id);
ALTER TABLE ONLY experiments_interleavedunit
    ADD CONSTRAINT experiments_interleavedunit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_interleaving
    ADD CONSTRAINT experiments_interleaving_experiment_id_key UNIQUE (experiment_id);
ALTER TABLE ONLY experiments_interleaving
    ADD CONSTRAINT experiments_interleaving_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgement_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_judgeplan
    ADD CONSTRAINT experiments_judgeplan_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_judgeplan
    ADD CONSTRAINT experiments_judgeplan_surface_id_key UNIQUE (surface_id);
ALTER TABLE ONLY experiments_labelopinion
    ADD CONSTRAINT experiments_labelopinion_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_labeltask
    ADD CONSTRAINT experiments_labeltask_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_layer
    ADD CONSTRAINT experiments_layer_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_link
    ADD CONSTRAINT experiments_link_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_look
    ADD CONSTRAINT experiments_look_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_metric
    ADD CONSTRAINT experiments_metric_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_observation
    ADD CONSTRAINT experiments_observation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_programme
    ADD CONSTRAINT experiments_programme_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_programme
    ADD CONSTRAINT experiments_programme_surface_id_key UNIQUE (surface_id);
ALTER TABLE ONLY experiments_proposal
    ADD CONSTRAINT experiments_proposal_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_quantilecount
    ADD CONSTRAINT experiments_quantilecount_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_quarantinedexposure
    ADD CONSTRAINT experiments_quarantinedexposure_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_reportshare
    ADD CONSTRAINT experiments_reportshare_digest_key UNIQUE (digest);
ALTER TABLE ONLY experiments_reportshare
    ADD CONSTRAINT experiments_reportshare_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_review
    ADD CONSTRAINT experiments_review_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_rowanswer
    ADD CONSTRAINT experiments_rowanswer_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_ruleversion
    ADD CONSTRAINT experiments_ruleversion_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_sampledanswer
    ADD CONSTRAINT experiments_sampledanswer_generation_id_key UNIQUE (generation_id);
ALTER TABLE ONLY experiments_sampledanswer
    ADD CONSTRAINT experiments_sampledanswer_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_savedgroup
    ADD CONSTRAINT experiments_savedgroup_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_segmentsatstart
    ADD CONSTRAINT experiments_segmentsatstart_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_slate
    ADD CONSTRAINT experiments_slate_pkey PRIMARY KEY (recommendation_id);
ALTER TABLE ONLY experiments_slate_default
    ADD CONSTRAINT experiments_slate_default_pkey PRIMARY KEY (recommendation_id);
ALTER TABLE ONLY experiments_survey
    ADD CONSTRAINT experiments_survey_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_theme
    ADD CONSTRAINT experiments_theme_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_themedtext
    ADD CONSTRAINT experiments_themedtext_feedback_id_key UNIQUE (feedback_id);
ALTER TABLE ONLY experiments_themedtext
    ADD CONSTRAINT experiments_themedtext_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_themereading
    ADD CONSTRAINT experiments_themereading_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_themereading
    ADD CONSTRAINT experiments_themereading_surface_id_key UNIQUE (surface_id);
ALTER TABLE ONLY experiments_total
    ADD CONSTRAINT experiments_total_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_transactionclock
    ADD CONSTRAINT experiments_transactionclock_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_unit
    ADD CONSTRAINT experiments_unit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_variant
    ADD CONSTRAINT experiments_variant_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_variantpicture
    ADD CONSTRAINT experiments_variantpicture_pkey PRIMARY KEY (variant_id);
ALTER TABLE ONLY experiments_versioncheck
    ADD CONSTRAINT experiments_versioncheck_pkey PRIMARY KEY (id);
ALTER TABLE ONLY experiments_feedback
    ADD CONSTRAINT feedback_counts_once UNIQUE (project_id, feedback_id);
ALTER TABLE ONLY experiments_savedgroup
    ADD CONSTRAINT group_key_is_unique UNIQUE (project_id, key);
ALTER TABLE ONLY inference_aliasmove
    ADD CONSTRAINT inference_aliasmove_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_artifactstore
    ADD CONSTRAINT inference_artifactstore_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_cataloguestate
    ADD CONSTRAINT inference_cataloguestate_pkey PRIMARY KEY (project_id);
ALTER TABLE ONLY inference_driftreport
    ADD CONSTRAINT inference_driftreport_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_example
    ADD CONSTRAINT inference_example_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_fetchedimage
    ADD CONSTRAINT inference_fetchedimage_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_imagevector
    ADD CONSTRAINT inference_imagevector_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_item
    ADD CONSTRAINT inference_item_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_itemvector
    ADD CONSTRAINT inference_itemvector_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_itemword
    ADD CONSTRAINT inference_itemword_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_modelversion
    ADD CONSTRAINT inference_modelversion_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_policycount
    ADD CONSTRAINT inference_policycount_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_policycount
    ADD CONSTRAINT inference_policycount_surface_id_key UNIQUE (surface_id);
ALTER TABLE ONLY inference_runlogline
    ADD CONSTRAINT inference_runlogline_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_shadowanswer
    ADD CONSTRAINT inference_shadowanswer_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_snapshot
    ADD CONSTRAINT inference_snapshot_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_surface
    ADD CONSTRAINT inference_surface_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingrun_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_uploadedimage
    ADD CONSTRAINT inference_uploadedimage_pkey PRIMARY KEY (id);
ALTER TABLE ONLY inference_item
    ADD CONSTRAINT item_id_is_unique UNIQUE (project_id, item_id);
ALTER TABLE ONLY experiments_layer
    ADD CONSTRAINT layer_key_is_unique UNIQUE (project_id, key);
ALTER TABLE ONLY experiments_look
    ADD CONSTRAINT looks_are_numbered UNIQUE (experiment_id, number);
ALTER TABLE ONLY experiments_metric
    ADD CONSTRAINT metric_key_is_unique UNIQUE (project_id, key);
ALTER TABLE ONLY accounts_externalidentity
    ADD CONSTRAINT one_account_per_subject UNIQUE (issuer, subject);
ALTER TABLE ONLY experiments_breakercount
    ADD CONSTRAINT one_breaker_count_per_bin UNIQUE (experiment_id, metric_id, variant_id, epoch, bin);
ALTER TABLE ONLY experiments_quantilecount
    ADD CONSTRAINT one_count_per_bucket UNIQUE (experiment_id, metric_id, variant_id, epoch, segment, bucket);
ALTER TABLE ONLY alerts_delivery
    ADD CONSTRAINT one_delivery_per_subscription UNIQUE (alert_id, subscription_id);
ALTER TABLE ONLY experiments_dataexport
    ADD CONSTRAINT one_export_per_folder UNIQUE (folder);
ALTER TABLE ONLY experiments_exposuretotal
    ADD CONSTRAINT one_exposure_total_per_segment UNIQUE (experiment_id, variant_id, epoch, segment);
ALTER TABLE ONLY accounts_membership
    ADD CONSTRAINT one_role_per_member UNIQUE (user_id, project_id);
ALTER TABLE ONLY alerts_subscription
    ADD CONSTRAINT one_subscription_per_name UNIQUE (project_id, name);
ALTER TABLE ONLY experiments_total
    ADD CONSTRAINT one_total_per_batch_and_segment UNIQUE (experiment_id, metric_id, variant_id, epoch, batch, segment);
ALTER TABLE ONLY accounts_monthlyusage
    ADD CONSTRAINT one_usage_per_month UNIQUE (project_id, month);
ALTER TABLE ONLY accounts_savedview
    ADD CONSTRAINT one_view_of_a_name UNIQUE (project_id, list_name, key, owner_id, name);
ALTER TABLE ONLY experiments_ruleversion
    ADD CONSTRAINT rule_version_is_unique UNIQUE (surface_id, number);
ALTER TABLE ONLY inference_surface
    ADD CONSTRAINT surface_key_is_unique UNIQUE (project_id, key);
ALTER TABLE ONLY experiments_unit
    ADD CONSTRAINT unit_id_is_unique UNIQUE (project_id, unit_id);
ALTER TABLE ONLY experiments_variant
    ADD CONSTRAINT variant_key_is_unique UNIQUE (experiment_id, key);
CREATE UNIQUE INDEX a_surface_asks_one_survey ON experiments_survey USING btree (surface_id) WHERE enabled;
CREATE UNIQUE INDEX a_surface_has_one_gate_data_set ON experiments_dataset USING btree (surface_id) WHERE is_gate;
CREATE UNIQUE INDEX a_version_is_checked_once_at_a_time ON experiments_versioncheck USING btree (version_id, data_set_id) WHERE ((state)::text = 'queued'::text);
CREATE INDEX accounts_apikey_digest_b02b5264_like ON accounts_apikey USING btree (digest varchar_pattern_ops);
CREATE INDEX accounts_apikey_project_id_9c21854c ON accounts_apikey USING btree (project_id);
CREATE INDEX accounts_auditentry_project_id_a856325c ON accounts_auditentry USING btree (project_id);
CREATE INDEX accounts_externalidentity_user_id_b01fa084 ON accounts_externalidentity USING btree (user_id);
CREATE INDEX accounts_invitation_digest_4d068cc1_like ON accounts_invitation USING btree (digest varchar_pattern_ops);
CREATE INDEX accounts_invitation_project_id_55ac263e ON accounts_invitation USING btree (project_id);
CREATE INDEX accounts_membership_project_id_e3530d11 ON accounts_membership USING btree (project_id);
CREATE INDEX accounts_membership_user_id_487fb39e ON accounts_membership USING btree (user_id);
CREATE INDEX accounts_monthlyusage_project_id_796c5dce ON accounts_monthlyusage USING btree (project_id);
CREATE INDEX accounts_passkey_credential_id_2a629197_like ON accounts_passkey USING btree (credential_id varchar_pattern_ops);
CREATE INDEX accounts_passkey_user_id_f8f562b4 ON accounts_passkey USING btree (user_id);
CREATE INDEX accounts_passwordreset_digest_d8652dce_like ON accounts_passwordreset USING btree (digest varchar_pattern_ops);
CREATE INDEX accounts_passwordreset_maker_id_c712d3a9 ON accounts_passwordreset USING btree (maker_id);
CREATE INDEX accounts_passwordreset_person_id_c2ba9015 ON accounts_passwordreset USING btree (person_id);
CREATE INDEX accounts_passwordreset_project_id_4eee35b5 ON accounts_passwordreset USING btree (project_id);
CREATE INDEX accounts_project_slug_955b1b53_like ON accounts_project USING btree (slug varchar_pattern_ops);
CREATE INDEX accounts_recoverycode_factor_id_cd986632 ON accounts_recoverycode USING btree (factor_id);
CREATE INDEX accounts_savedview_owner_id_35701fde ON accounts_savedview USING btree (owner_id);
CREATE INDEX accounts_savedview_project_id_c523b1d9 ON accounts_savedview USING btree (project_id);
CREATE INDEX accounts_signedinsession_session_key_83977ea7_like ON accounts_signedinsession USING btree (session_key varchar_pattern_ops);
CREATE INDEX accounts_signedinsession_user_id_da256a37 ON accounts_signedinsession USING btree (user_id);
CREATE INDEX alerts_alert_project_id_dbc462f2 ON alerts_alert USING btree (project_id);
CREATE INDEX alerts_by_project ON alerts_alert USING btree (project_id, created_at DESC);
CREATE INDEX alerts_delivery_alert_id_527311ab ON alerts_delivery USING btree (alert_id);
CREATE INDEX alerts_delivery_subscription_id_5d10dfc4 ON alerts_delivery USING btree (subscription_id);
CREATE INDEX alerts_subscription_project_id_0dd58e9b ON alerts_subscription USING btree (project_id);
CREATE INDEX alerts_to_fan_out ON alerts_alert USING btree (created_at) WHERE (fanned_out_at IS NULL);
CREATE INDEX answers_to_rate ON experiments_sampledanswer USING btree (project_id, draw) WHERE ((state)::text = 'open'::text);
CREATE UNIQUE INDEX at_most_one_champion_per_surface ON inference_modelversion USING btree (surface_id) WHERE ((alias)::text = 'champion'::text);
CREATE INDEX audit_by_subject ON accounts_auditentry USING btree (project_id, subject, at DESC, id DESC);
CREATE INDEX auth_group_name_a6ea08ec_like ON auth_group USING btree (name varchar_pattern_ops);
CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON auth_group_permissions USING btree (group_id);
CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON auth_group_permissions USING btree (permission_id);
CREATE INDEX auth_permission_content_type_id_2f476e4b ON auth_permission USING btree (content_type_id);
CREATE INDEX auth_user_groups_group_id_97559544 ON auth_user_groups USING btree (group_id);
CREATE INDEX auth_user_groups_user_id_6a12ed8b ON auth_user_groups USING btree (user_id);
CREATE INDEX auth_user_user_permissions_permission_id_1fbb5f2c ON auth_user_user_permissions USING btree (permission_id);
CREATE INDEX auth_user_user_permissions_user_id_a95ead1b ON auth_user_user_permissions USING btree (user_id);
CREATE INDEX auth_user_username_6821ab7c_like ON auth_user USING btree (username varchar_pattern_ops);
CREATE INDEX data_set_rows_by_unit ON experiments_datasetrow USING btree (project_id, unit_id);
CREATE INDEX deliveries_waiting ON alerts_delivery USING btree (next_at) WHERE ((state)::text = 'waiting'::text);
CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON django_admin_log USING btree (content_type_id);
CREATE INDEX django_admin_log_user_id_c564eba6 ON django_admin_log USING btree (user_id);
CREATE INDEX django_session_expire_date_a5c62663 ON django_session USING btree (expire_date);
CREATE INDEX django_session_session_key_c0390e0f_like ON django_session USING btree (session_key varchar_pattern_ops);
CREATE INDEX event_ids_by_time ON experiments_eventid USING brin (received_at);
CREATE INDEX experiments_answerrating_answer_id_b9c5ee9a ON experiments_answerrating USING btree (answer_id);
CREATE INDEX experiments_approval_proposal_id_0c65bd83 ON experiments_approval USING btree (proposal_id);
CREATE INDEX experiments_archivedmonth_project_id_4cd23bd6 ON experiments_archivedmonth USING btree (project_id);
CREATE INDEX experiments_breakercount_experiment_id_6cd27efd ON experiments_breakercount USING btree (experiment_id);
CREATE INDEX experiments_breakercount_metric_id_1c5e6e0a ON experiments_breakercount USING btree (metric_id);
CREATE INDEX experiments_breakercount_variant_id_ff695357 ON experiments_breakercount USING btree (variant_id);
CREATE INDEX experiments_comment_author_id_7d7c0944 ON experiments_comment USING btree (author_id);
CREATE INDEX experiments_comment_experiment_id_732547bf ON experiments_comment USING btree (experiment_id);
CREATE INDEX experiments_comment_mentioned_comment_id_473f0d7a ON experiments_comment_mentioned USING btree (comment_id);
CREATE INDEX experiments_comment_mentioned_user_id_781c26c3 ON experiments_comment_mentioned USING btree (user_id);
CREATE INDEX experiments_dataexport_project_id_42599121 ON experiments_dataexport USING btree (project_id);
CREATE INDEX experiments_dataset_key_70a5d2ee ON experiments_dataset USING btree (key);
CREATE INDEX experiments_dataset_key_70a5d2ee_like ON experiments_dataset USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_dataset_project_id_b56cb5bc ON experiments_dataset USING btree (project_id);
CREATE INDEX experiments_dataset_surface_id_3d6aba82 ON experiments_dataset USING btree (surface_id);
CREATE INDEX experiments_datasetrow_data_set_id_9eeb27e5 ON experiments_datasetrow USING btree (data_set_id);
CREATE INDEX experiments_datasetrow_project_id_57889c44 ON experiments_datasetrow USING btree (project_id);
CREATE INDEX experiments_decision_experiment_id_d04cab2f ON experiments_decision USING btree (experiment_id);
CREATE INDEX experiments_decision_project_id_3352b3b9 ON experiments_decision USING btree (project_id);
CREATE INDEX experiments_decision_promoted_id_a2d3e87e ON experiments_decision USING btree (promoted_id);
CREATE INDEX experiments_decision_replaced_id_c9a2cd58 ON experiments_decision USING btree (replaced_id);
CREATE INDEX experiments_decision_sha256_9eff1752_like ON experiments_decision USING btree (sha256 varchar_pattern_ops);
CREATE INDEX experiments_decision_surface_id_8f64983f ON experiments_decision USING btree (surface_id);
CREATE INDEX experiments_epoch_experiment_id_9cbf884d ON experiments_epoch USING btree (experiment_id);
CREATE INDEX experiments_project_d15a4a_idx ON ONLY experiments_event USING btree (project_id, unit_id, occurred_at);
CREATE INDEX experiments_event_default_project_id_unit_id_occurred_at_idx ON experiments_event_default USING btree (project_id, unit_id, occurred_at);
CREATE INDEX experiments_event_xid ON ONLY experiments_event USING btree (project_id, xid);
CREATE INDEX experiments_event_default_project_id_xid_idx ON experiments_event_default USING btree (project_id, xid);
CREATE INDEX experiments_event_received ON ONLY experiments_event USING brin (received_at);
CREATE INDEX experiments_event_default_received_at_idx ON experiments_event_default USING brin (received_at);
CREATE INDEX experiments_excludedunit_xid ON experiments_excludedunit USING btree (project_id, xid);
CREATE INDEX experiments_experiment_key_920d2421 ON experiments_experiment USING btree (key);
CREATE INDEX experiments_experiment_key_920d2421_like ON experiments_experiment USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_experiment_layer_id_fae591c9 ON experiments_experiment USING btree (layer_id);
CREATE INDEX experiments_experiment_project_id_16f1a28b ON experiments_experiment USING btree (project_id);
CREATE INDEX experiments_experiment_surface_id_53e1d9dd ON experiments_experiment USING btree (surface_id);
CREATE INDEX experiments_experimentmetric_experiment_id_a7b041de ON experiments_experimentmetric USING btree (experiment_id);
CREATE INDEX experiments_experimentmetric_metric_id_6ce06c5b ON experiments_experimentmetric USING btree (metric_id);
CREATE INDEX experiments_exposure_xid ON experiments_exposure USING btree (experiment_id, xid);
CREATE INDEX experiments_exposuretotal_experiment_id_290887a2 ON experiments_exposuretotal USING btree (experiment_id);
CREATE INDEX experiments_exposuretotal_variant_id_65df1759 ON experiments_exposuretotal USING btree (variant_id);
CREATE INDEX experiments_feedback_xid ON experiments_feedback USING btree (project_id, xid);
CREATE INDEX experiments_judgement_experiment_id_0b670cd2 ON experiments_judgement USING btree (experiment_id);
CREATE INDEX experiments_judgement_judge_id_10253a20 ON experiments_judgement USING btree (judge_id);
CREATE INDEX experiments_judgement_project_id_914ec2a3 ON experiments_judgement USING btree (project_id);
CREATE INDEX experiments_judgement_shadow_id_c11c1a31 ON experiments_judgement USING btree (shadow_id);
CREATE INDEX experiments_judgement_surface_id_071342dc ON experiments_judgement USING btree (surface_id);
CREATE INDEX experiments_judgement_variant_id_64093949 ON experiments_judgement USING btree (variant_id);
CREATE INDEX experiments_judgeplan_judge_id_7a1b2a64 ON experiments_judgeplan USING btree (judge_id);
CREATE INDEX experiments_labelopinion_task_id_669344d9 ON experiments_labelopinion USING btree (task_id);
CREATE INDEX experiments_labeltask_project_id_258c4306 ON experiments_labeltask USING btree (project_id);
CREATE INDEX experiments_labeltask_surface_id_ca25f841 ON experiments_labeltask USING btree (surface_id);
CREATE INDEX experiments_layer_key_4265f801 ON experiments_layer USING btree (key);
CREATE INDEX experiments_layer_key_4265f801_like ON experiments_layer USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_layer_project_id_66655c66 ON experiments_layer USING btree (project_id);
CREATE INDEX experiments_look_experiment_id_e7d391a5 ON experiments_look USING btree (experiment_id);
CREATE INDEX experiments_metric_key_9f14cdcd ON experiments_metric USING btree (key);
CREATE INDEX experiments_metric_key_9f14cdcd_like ON experiments_metric USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_metric_project_id_aa26e403 ON experiments_metric USING btree (project_id);
CREATE INDEX experiments_programme_primary_metric_id_9da7f97f ON experiments_programme USING btree (primary_metric_id);
CREATE INDEX experiments_project_8574bd_idx ON ONLY experiments_slate USING btree (project_id, unit_id, served_at);
CREATE INDEX experiments_project_8ff0ee_idx ON experiments_feedback USING btree (project_id, recommendation_id, received_at);
CREATE INDEX experiments_proposal_experiment_id_e076a5fc ON experiments_proposal USING btree (experiment_id);
CREATE INDEX experiments_proposal_project_id_b53fbc3a ON experiments_proposal USING btree (project_id);
CREATE INDEX experiments_proposal_surface_id_34f95258 ON experiments_proposal USING btree (surface_id);
CREATE INDEX experiments_proposal_version_id_3254d80e ON experiments_proposal USING btree (version_id);
CREATE INDEX experiments_quantilecount_experiment_id_8990273c ON experiments_quantilecount USING btree (experiment_id);
CREATE INDEX experiments_quantilecount_metric_id_e11a926c ON experiments_quantilecount USING btree (metric_id);
CREATE INDEX experiments_quantilecount_variant_id_cf83c9f9 ON experiments_quantilecount USING btree (variant_id);
CREATE INDEX experiments_reportshare_digest_289f7023_like ON experiments_reportshare USING btree (digest varchar_pattern_ops);
CREATE INDEX experiments_reportshare_experiment_id_edf25db1 ON experiments_reportshare USING btree (experiment_id);
CREATE INDEX experiments_review_feedback_id_63925630 ON experiments_review USING btree (feedback_id);
CREATE INDEX experiments_rowanswer_row_id_754e1840 ON experiments_rowanswer USING btree (row_id);
CREATE INDEX experiments_rowanswer_version_id_cb429fbe ON experiments_rowanswer USING btree (version_id);
CREATE INDEX experiments_ruleversion_surface_id_ce8a51b9 ON experiments_ruleversion USING btree (surface_id);
CREATE INDEX experiments_sampledanswer_experiment_id_02620587 ON experiments_sampledanswer USING btree (experiment_id);
CREATE INDEX experiments_sampledanswer_project_id_3dc9e4ac ON experiments_sampledanswer USING btree (project_id);
CREATE INDEX experiments_sampledanswer_variant_id_71879bb3 ON experiments_sampledanswer USING btree (variant_id);
CREATE INDEX experiments_savedgroup_key_b570d93c ON experiments_savedgroup USING btree (key);
CREATE INDEX experiments_savedgroup_key_b570d93c_like ON experiments_savedgroup USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_savedgroup_project_id_b9e877cc ON experiments_savedgroup USING btree (project_id);
CREATE INDEX experiments_slate_xid ON ONLY experiments_slate USING btree (experiment_id, xid);
CREATE INDEX experiments_slate_default_experiment_id_xid_idx ON experiments_slate_default USING btree (experiment_id, xid);
CREATE INDEX experiments_slate_default_project_id_unit_id_served_at_idx ON experiments_slate_default USING btree (project_id, unit_id, served_at);
CREATE INDEX slates_by_surface ON ONLY experiments_slate USING btree (surface_id, recommendation_id);
CREATE INDEX experiments_slate_default_surface_id_recommendation_id_idx ON experiments_slate_default USING btree (surface_id, recommendation_id);
CREATE INDEX experiments_survey_project_id_ee5d8c36 ON experiments_survey USING btree (project_id);
CREATE INDEX experiments_survey_surface_id_4bc0512f ON experiments_survey USING btree (surface_id);
CREATE INDEX experiments_theme_project_id_4e2bf26f ON experiments_theme USING btree (project_id);
CREATE INDEX experiments_theme_surface_id_1121e241 ON experiments_theme USING btree (surface_id);
CREATE INDEX experiments_themedtext_project_id_c1dbb011 ON experiments_themedtext USING btree (project_id);
CREATE INDEX experiments_themedtext_surface_id_befc0311 ON experiments_themedtext USING btree (surface_id);
CREATE INDEX experiments_themedtext_theme_id_9500de64 ON experiments_themedtext USING btree (theme_id);
CREATE INDEX experiments_total_experiment_id_76ecae03 ON experiments_total USING btree (experiment_id);
CREATE INDEX experiments_total_metric_id_3fac8e5f ON experiments_total USING btree (metric_id);
CREATE INDEX experiments_total_variant_id_e827b717 ON experiments_total USING btree (variant_id);
CREATE INDEX experiments_variant_experiment_id_76682548 ON experiments_variant USING btree (experiment_id);
CREATE INDEX experiments_variant_key_ecd8d3b3 ON experiments_variant USING btree (key);
CREATE INDEX experiments_variant_key_ecd8d3b3_like ON experiments_variant USING btree (key varchar_pattern_ops);
CREATE INDEX experiments_variant_model_version_id_f5396ab4 ON experiments_variant USING btree (model_version_id);
CREATE INDEX experiments_variant_rules_id_6d61eabd ON experiments_variant USING btree (rules_id);
CREATE INDEX experiments_versioncheck_data_set_id_07388ec9 ON experiments_versioncheck USING btree (data_set_id);
CREATE INDEX experiments_versioncheck_project_id_5efeb573 ON experiments_versioncheck USING btree (project_id);
CREATE INDEX experiments_versioncheck_rival_id_619cd137 ON experiments_versioncheck USING btree (rival_id);
CREATE INDEX experiments_versioncheck_version_id_aca1ea72 ON experiments_versioncheck USING btree (version_id);
CREATE INDEX feedback_by_unit ON experiments_feedback USING btree (project_id, unit_id);
CREATE INDEX images_to_be_fetched ON inference_fetchedimage USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX inference_aliasmove_version_id_125b341f ON inference_aliasmove USING btree (version_id);
CREATE INDEX inference_driftreport_surface_id_d8182332 ON inference_driftreport USING btree (surface_id);
CREATE INDEX inference_example_surface_id_770a4234 ON inference_example USING btree (surface_id);
CREATE INDEX inference_fetchedimage_project_id_bc154e58 ON inference_fetchedimage USING btree (project_id);
CREATE INDEX inference_item_project_id_730abce9 ON inference_item USING btree (project_id);
CREATE INDEX inference_itemword_project_id_144e7e41 ON inference_itemword USING btree (project_id);
CREATE INDEX inference_modelversion_name_cf5c5710 ON inference_modelversion USING btree (algorithm);
CREATE INDEX inference_modelversion_name_cf5c5710_like ON inference_modelversion USING btree (algorithm varchar_pattern_ops);
CREATE INDEX inference_modelversion_parent_id_25ad2685 ON inference_modelversion USING btree (parent_id);
CREATE INDEX inference_modelversion_snapshot_id_29234811 ON inference_modelversion USING btree (snapshot_id);
CREATE INDEX inference_modelversion_surface_id_4cfa7075 ON inference_modelversion USING btree (surface_id);
CREATE INDEX inference_runlogline_run_id_c7f947c1 ON inference_runlogline USING btree (run_id);
CREATE INDEX inference_shadowanswer_version_id_10d2319c ON inference_shadowanswer USING btree (version_id);
CREATE INDEX inference_snapshot_surface_id_20f31dba ON inference_snapshot USING btree (surface_id);
CREATE INDEX inference_surface_key_01757f32 ON inference_surface USING btree (key);
CREATE INDEX inference_surface_key_01757f32_like ON inference_surface USING btree (key varchar_pattern_ops);
CREATE INDEX inference_surface_project_id_a7e2fac7 ON inference_surface USING btree (project_id);
CREATE INDEX inference_trainingrun_answers_id_fa9f234b ON inference_trainingrun USING btree (answers_id);
CREATE INDEX inference_trainingrun_compresses_id_3c3f6c61 ON inference_trainingrun USING btree (compresses_id);
CREATE INDEX inference_trainingrun_snapshot_id_5e9b0634 ON inference_trainingrun USING btree (snapshot_id);
CREATE INDEX inference_trainingrun_surface_id_0debbaf6 ON inference_trainingrun USING btree (surface_id);
CREATE INDEX inference_trainingrun_tested_version_id_daa33dfe ON inference_trainingrun USING btree (tested_version_id);
CREATE INDEX inference_trainingrun_texts_id_00c09eea ON inference_trainingrun USING btree (texts_id);
CREATE INDEX inference_trainingrun_version_id_129c3720 ON inference_trainingrun USING btree (version_id);
CREATE INDEX inference_uploadedimage_project_id_9024860f ON inference_uploadedimage USING btree (project_id);
CREATE INDEX items_by_change ON inference_item USING btree (project_id, change);
CREATE INDEX items_by_image ON inference_item USING hash (image_url) WHERE (NOT ((image_url)::text = ''::text));
CREATE INDEX items_by_uploaded_image ON inference_item USING btree (image_sha256) WHERE (NOT ((image_sha256)::text = ''::text));
CREATE INDEX items_by_words ON inference_item USING gin (document);
CREATE INDEX items_without_their_vector ON inference_item USING btree (vector_due_at) WHERE (vector_due_at IS NOT NULL);
CREATE INDEX judgements_by_time ON experiments_judgement USING btree (surface_id, at);
CREATE INDEX judgements_by_unit ON experiments_judgement USING btree (project_id, unit_id);
CREATE INDEX judgements_of_experiment ON experiments_judgement USING btree (experiment_id, judge_id);
CREATE INDEX label_tasks_by_unit ON experiments_labeltask USING btree (project_id, unit_id);
CREATE INDEX links_by_user ON experiments_link USING btree (project_id, user_id);
CREATE UNIQUE INDEX one_active_run_per_surface_and_algorithm ON inference_trainingrun USING btree (surface_id, algorithm) WHERE ((state)::text = ANY ((ARRAY['queued'::character varying, 'running'::character varying])::text[]));
CREATE UNIQUE INDEX one_control ON experiments_variant USING btree (experiment_id) WHERE is_control;
CREATE UNIQUE INDEX one_open_epoch ON experiments_epoch USING btree (experiment_id) WHERE (ended_at IS NULL);
CREATE UNIQUE INDEX one_open_proposal_of_a_kind ON experiments_proposal USING btree (experiment_id, kind) WHERE ((state)::text = 'open'::text);
CREATE UNIQUE INDEX one_primary_metric ON experiments_experimentmetric USING btree (experiment_id) WHERE ((role)::text = 'primary'::text);
CREATE UNIQUE INDEX one_running_experiment_per_surface ON experiments_experiment USING btree (surface_id) WHERE (exclusive AND (layer_id IS NULL) AND ((state)::text = 'running'::text));
CREATE UNIQUE INDEX one_unresolved_alert_per_key ON alerts_alert USING btree (project_id, dedupe_key) WHERE ((NOT ((dedupe_key)::text = ''::text)) AND (resolved_at IS NULL));
CREATE INDEX open_label_tasks ON experiments_labeltask USING btree (project_id, uncertainty DESC) WHERE ((state)::text = 'open'::text);
CREATE INDEX outcomes_not_betted_on ON experiments_observation USING btree (experiment_id, metric_id) WHERE ((NOT bet) AND (NOT (uncapped_value = (0.0)::double precision)));
CREATE INDEX people_with_two_units ON experiments_link USING btree (project_id, unit_id) WHERE (alias IS NULL);
CREATE INDEX quarantined_by_unit ON experiments_quarantinedexposure USING btree (project_id, unit_id);
CREATE INDEX sampled_answers_by_unit ON experiments_sampledanswer USING btree (project_id, unit_id);
CREATE INDEX shadow_answers_by_experiment ON inference_shadowanswer USING btree (experiment_id) WHERE (experiment_id IS NOT NULL);
CREATE INDEX shadow_answers_by_unit ON inference_shadowanswer USING btree (unit_id) WHERE (NOT ((unit_id)::text = ''::text));
CREATE INDEX survey_answers ON experiments_feedback USING btree (project_id, text) WHERE ((kind)::text = 'survey'::text);
CREATE INDEX themed_texts_by_unit ON experiments_themedtext USING btree (project_id, unit_id);
CREATE INDEX themes_of_surface ON experiments_theme USING btree (surface_id, gone_at);
CREATE INDEX units_still_in_their_window ON experiments_observation USING btree (experiment_id, exposed_at) WHERE (batch IS NULL);
CREATE INDEX words_by_what_is_near ON inference_itemword USING gin (near);
CREATE INDEX words_written_otherwise ON inference_itemword USING btree (project_id, folded) WHERE (NOT ((word)::text = (folded)::text));
CREATE INDEX written_by_users ON experiments_feedback USING btree (project_id, id) WHERE (((kind)::text = 'text'::text) OR (NOT (answer = ''::text)));
ALTER INDEX experiments_project_d15a4a_idx ATTACH PARTITION experiments_event_default_project_id_unit_id_occurred_at_idx;
ALTER INDEX experiments_event_xid ATTACH PARTITION experiments_event_default_project_id_xid_idx;
ALTER INDEX experiments_event_received ATTACH PARTITION experiments_event_default_received_at_idx;
ALTER INDEX experiments_slate_xid ATTACH PARTITION experiments_slate_default_experiment_id_xid_idx;
ALTER INDEX experiments_slate_pkey ATTACH PARTITION experiments_slate_default_pkey;
ALTER INDEX experiments_project_8574bd_idx ATTACH PARTITION experiments_slate_default_project_id_unit_id_served_at_idx;
ALTER INDEX slates_by_surface ATTACH PARTITION experiments_slate_default_surface_id_recommendation_id_idx;
CREATE TRIGGER policies_are_recounted AFTER DELETE ON experiments_slate REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION experiments_recount_policies();
ALTER TABLE ONLY accounts_apikey
    ADD CONSTRAINT accounts_apikey_project_id_9c21854c_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_auditentry
    ADD CONSTRAINT accounts_auditentry_project_id_a856325c_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_externalidentity
    ADD CONSTRAINT accounts_externalidentity_user_id_b01fa084_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_invitation
    ADD CONSTRAINT accounts_invitation_project_id_55ac263e_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_membership
    ADD CONSTRAINT accounts_membership_project_id_e3530d11_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_membership
    ADD CONSTRAINT accounts_membership_user_id_487fb39e_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_monthlyusage
    ADD CONSTRAINT accounts_monthlyusag_project_id_796c5dce_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_passkey
    ADD CONSTRAINT accounts_passkey_user_id_f8f562b4_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_passwordreset
    ADD CONSTRAINT accounts_passwordres_project_id_4eee35b5_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_passwordreset
    ADD CONSTRAINT accounts_passwordreset_maker_id_c712d3a9_fk_auth_user_id FOREIGN KEY (maker_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_passwordreset
    ADD CONSTRAINT accounts_passwordreset_person_id_c2ba9015_fk_auth_user_id FOREIGN KEY (person_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_quota
    ADD CONSTRAINT accounts_quota_project_id_44d22c48_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_recoverycode
    ADD CONSTRAINT accounts_recoverycod_factor_id_cd986632_fk_accounts_ FOREIGN KEY (factor_id) REFERENCES accounts_secondfactor(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_savedview
    ADD CONSTRAINT accounts_savedview_owner_id_35701fde_fk_auth_user_id FOREIGN KEY (owner_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_savedview
    ADD CONSTRAINT accounts_savedview_project_id_c523b1d9_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_secondfactor
    ADD CONSTRAINT accounts_secondfactor_user_id_1e182b70_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY accounts_signedinsession
    ADD CONSTRAINT accounts_signedinsession_user_id_da256a37_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY alerts_alert
    ADD CONSTRAINT alerts_alert_project_id_dbc462f2_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY alerts_delivery
    ADD CONSTRAINT alerts_delivery_alert_id_527311ab_fk_alerts_alert_id FOREIGN KEY (alert_id) REFERENCES alerts_alert(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY alerts_delivery
    ADD CONSTRAINT alerts_delivery_subscription_id_5d10dfc4_fk_alerts_su FOREIGN KEY (subscription_id) REFERENCES alerts_subscription(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY alerts_subscription
    ADD CONSTRAINT alerts_subscription_project_id_0dd58e9b_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES auth_permission(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES auth_group(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES django_content_type(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_user_groups
    ADD CONSTRAINT auth_user_groups_group_id_97559544_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES auth_group(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_6a12ed8b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES auth_permission(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES django_content_type(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_answerrating
    ADD CONSTRAINT experiments_answerra_answer_id_b9c5ee9a_fk_experimen FOREIGN KEY (answer_id) REFERENCES experiments_sampledanswer(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_approval
    ADD CONSTRAINT experiments_approval_proposal_id_0c65bd83_fk_experimen FOREIGN KEY (proposal_id) REFERENCES experiments_proposal(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_breakercount
    ADD CONSTRAINT experiments_breakerc_experiment_id_6cd27efd_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_breakercount
    ADD CONSTRAINT experiments_breakerc_metric_id_1c5e6e0a_fk_experimen FOREIGN KEY (metric_id) REFERENCES experiments_metric(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_breakercount
    ADD CONSTRAINT experiments_breakerc_variant_id_ff695357_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_challenger
    ADD CONSTRAINT experiments_challeng_version_id_a86523e8_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_comment_mentioned
    ADD CONSTRAINT experiments_comment__comment_id_473f0d7a_fk_experimen FOREIGN KEY (comment_id) REFERENCES experiments_comment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_comment
    ADD CONSTRAINT experiments_comment_author_id_7d7c0944_fk_auth_user_id FOREIGN KEY (author_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_comment
    ADD CONSTRAINT experiments_comment_experiment_id_732547bf_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_comment_mentioned
    ADD CONSTRAINT experiments_comment_mentioned_user_id_781c26c3_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES auth_user(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_dataexport
    ADD CONSTRAINT experiments_dataexpo_project_id_42599121_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_dataset
    ADD CONSTRAINT experiments_dataset_project_id_b56cb5bc_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_dataset
    ADD CONSTRAINT experiments_dataset_surface_id_3d6aba82_fk_inference_surface_id FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_datasetrow
    ADD CONSTRAINT experiments_datasetr_data_set_id_9eeb27e5_fk_experimen FOREIGN KEY (data_set_id) REFERENCES experiments_dataset(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_datasetrow
    ADD CONSTRAINT experiments_datasetr_project_id_57889c44_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_experiment_id_d04cab2f_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_project_id_3352b3b9_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_promoted_id_a2d3e87e_fk_inference FOREIGN KEY (promoted_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_replaced_id_c9a2cd58_fk_inference FOREIGN KEY (replaced_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_decision
    ADD CONSTRAINT experiments_decision_surface_id_8f64983f_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_epoch
    ADD CONSTRAINT experiments_epoch_experiment_id_9cbf884d_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_excludedunit
    ADD CONSTRAINT experiments_excluded_project_id_df7861c8_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_experimentmetric
    ADD CONSTRAINT experiments_experime_experiment_id_a7b041de_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_experiment
    ADD CONSTRAINT experiments_experime_layer_id_fae591c9_fk_experimen FOREIGN KEY (layer_id) REFERENCES experiments_layer(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_experimentmetric
    ADD CONSTRAINT experiments_experime_metric_id_6ce06c5b_fk_experimen FOREIGN KEY (metric_id) REFERENCES experiments_metric(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_experiment
    ADD CONSTRAINT experiments_experime_project_id_16f1a28b_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_experiment
    ADD CONSTRAINT experiments_experime_surface_id_53e1d9dd_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_exposuretotal
    ADD CONSTRAINT experiments_exposure_experiment_id_290887a2_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_exposuretotal
    ADD CONSTRAINT experiments_exposure_variant_id_65df1759_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_holdout
    ADD CONSTRAINT experiments_holdout_project_id_3cf6368a_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_interleaving
    ADD CONSTRAINT experiments_interlea_experiment_id_ef76adcf_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_experiment_id_0b670cd2_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_judge_id_10253a20_fk_inference FOREIGN KEY (judge_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_project_id_914ec2a3_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_shadow_id_c11c1a31_fk_inference FOREIGN KEY (shadow_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_surface_id_071342dc_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgement
    ADD CONSTRAINT experiments_judgemen_variant_id_64093949_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgeplan
    ADD CONSTRAINT experiments_judgepla_judge_id_7a1b2a64_fk_inference FOREIGN KEY (judge_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_judgeplan
    ADD CONSTRAINT experiments_judgepla_surface_id_970510df_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_labelopinion
    ADD CONSTRAINT experiments_labelopi_task_id_669344d9_fk_experimen FOREIGN KEY (task_id) REFERENCES experiments_labeltask(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_labeltask
    ADD CONSTRAINT experiments_labeltas_project_id_258c4306_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_labeltask
    ADD CONSTRAINT experiments_labeltas_surface_id_ca25f841_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_layer
    ADD CONSTRAINT experiments_layer_project_id_66655c66_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_link
    ADD CONSTRAINT experiments_link_project_id_93052daf_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_look
    ADD CONSTRAINT experiments_look_experiment_id_e7d391a5_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_metric
    ADD CONSTRAINT experiments_metric_project_id_aa26e403_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_programme
    ADD CONSTRAINT experiments_programm_primary_metric_id_9da7f97f_fk_experimen FOREIGN KEY (primary_metric_id) REFERENCES experiments_metric(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_programme
    ADD CONSTRAINT experiments_programm_surface_id_3e6a5573_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_proposal
    ADD CONSTRAINT experiments_proposal_experiment_id_e076a5fc_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_proposal
    ADD CONSTRAINT experiments_proposal_project_id_b53fbc3a_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_proposal
    ADD CONSTRAINT experiments_proposal_surface_id_34f95258_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_proposal
    ADD CONSTRAINT experiments_proposal_version_id_3254d80e_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_quantilecount
    ADD CONSTRAINT experiments_quantile_experiment_id_8990273c_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_quantilecount
    ADD CONSTRAINT experiments_quantile_metric_id_e11a926c_fk_experimen FOREIGN KEY (metric_id) REFERENCES experiments_metric(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_quantilecount
    ADD CONSTRAINT experiments_quantile_variant_id_cf83c9f9_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_reportshare
    ADD CONSTRAINT experiments_reportsh_experiment_id_edf25db1_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_review
    ADD CONSTRAINT experiments_review_feedback_id_63925630_fk_experimen FOREIGN KEY (feedback_id) REFERENCES experiments_feedback(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_rowanswer
    ADD CONSTRAINT experiments_rowanswe_row_id_754e1840_fk_experimen FOREIGN KEY (row_id) REFERENCES experiments_datasetrow(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_rowanswer
    ADD CONSTRAINT experiments_rowanswe_version_id_cb429fbe_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_ruleversion
    ADD CONSTRAINT experiments_rulevers_surface_id_ce8a51b9_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_sampledanswer
    ADD CONSTRAINT experiments_sampleda_experiment_id_02620587_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_sampledanswer
    ADD CONSTRAINT experiments_sampleda_project_id_3dc9e4ac_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_sampledanswer
    ADD CONSTRAINT experiments_sampleda_variant_id_71879bb3_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_savedgroup
    ADD CONSTRAINT experiments_savedgro_project_id_b9e877cc_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_survey
    ADD CONSTRAINT experiments_survey_project_id_ee5d8c36_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_survey
    ADD CONSTRAINT experiments_survey_surface_id_4bc0512f_fk_inference_surface_id FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_theme
    ADD CONSTRAINT experiments_theme_project_id_4e2bf26f_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_theme
    ADD CONSTRAINT experiments_theme_surface_id_1121e241_fk_inference_surface_id FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_themedtext
    ADD CONSTRAINT experiments_themedte_project_id_c1dbb011_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_themedtext
    ADD CONSTRAINT experiments_themedte_surface_id_befc0311_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_themedtext
    ADD CONSTRAINT experiments_themedte_theme_id_9500de64_fk_experimen FOREIGN KEY (theme_id) REFERENCES experiments_theme(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_themereading
    ADD CONSTRAINT experiments_themerea_surface_id_b7396f40_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_total
    ADD CONSTRAINT experiments_total_experiment_id_76ecae03_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_total
    ADD CONSTRAINT experiments_total_metric_id_3fac8e5f_fk_experiments_metric_id FOREIGN KEY (metric_id) REFERENCES experiments_metric(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_total
    ADD CONSTRAINT experiments_total_variant_id_e827b717_fk_experiments_variant_id FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_unit
    ADD CONSTRAINT experiments_unit_project_id_fc9b2bcf_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_variant
    ADD CONSTRAINT experiments_variant_experiment_id_76682548_fk_experimen FOREIGN KEY (experiment_id) REFERENCES experiments_experiment(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_variant
    ADD CONSTRAINT experiments_variant_model_version_id_f5396ab4_fk_inference FOREIGN KEY (model_version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_variant
    ADD CONSTRAINT experiments_variant_rules_id_6d61eabd_fk_experimen FOREIGN KEY (rules_id) REFERENCES experiments_ruleversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_variantpicture
    ADD CONSTRAINT experiments_variantp_variant_id_9c38d633_fk_experimen FOREIGN KEY (variant_id) REFERENCES experiments_variant(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_versioncheck
    ADD CONSTRAINT experiments_versionc_data_set_id_07388ec9_fk_experimen FOREIGN KEY (data_set_id) REFERENCES experiments_dataset(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_versioncheck
    ADD CONSTRAINT experiments_versionc_project_id_5efeb573_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_versioncheck
    ADD CONSTRAINT experiments_versionc_rival_id_619cd137_fk_inference FOREIGN KEY (rival_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY experiments_versioncheck
    ADD CONSTRAINT experiments_versionc_version_id_aca1ea72_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_aliasmove
    ADD CONSTRAINT inference_aliasmove_version_id_125b341f_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_cataloguestate
    ADD CONSTRAINT inference_catalogues_project_id_0865ee93_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_driftreport
    ADD CONSTRAINT inference_driftrepor_surface_id_d8182332_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_example
    ADD CONSTRAINT inference_example_surface_id_770a4234_fk_inference_surface_id FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_fetchedimage
    ADD CONSTRAINT inference_fetchedima_project_id_bc154e58_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_item
    ADD CONSTRAINT inference_item_project_id_730abce9_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_itemword
    ADD CONSTRAINT inference_itemword_project_id_144e7e41_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_modelversion
    ADD CONSTRAINT inference_modelversi_parent_id_25ad2685_fk_inference FOREIGN KEY (parent_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_modelversion
    ADD CONSTRAINT inference_modelversi_snapshot_id_29234811_fk_inference FOREIGN KEY (snapshot_id) REFERENCES inference_snapshot(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_modelversion
    ADD CONSTRAINT inference_modelversi_surface_id_4cfa7075_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_policycount
    ADD CONSTRAINT inference_policycoun_surface_id_13e5eb6d_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_runlogline
    ADD CONSTRAINT inference_runlogline_run_id_c7f947c1_fk_inference FOREIGN KEY (run_id) REFERENCES inference_trainingrun(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_shadowanswer
    ADD CONSTRAINT inference_shadowansw_version_id_10d2319c_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_snapshot
    ADD CONSTRAINT inference_snapshot_surface_id_20f31dba_fk_inference_surface_id FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_surface
    ADD CONSTRAINT inference_surface_project_id_a7e2fac7_fk_accounts_project_id FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_answers_id_fa9f234b_fk_inference FOREIGN KEY (answers_id) REFERENCES inference_snapshot(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_compresses_id_3c3f6c61_fk_inference FOREIGN KEY (compresses_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_snapshot_id_5e9b0634_fk_inference FOREIGN KEY (snapshot_id) REFERENCES inference_snapshot(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_surface_id_0debbaf6_fk_inference FOREIGN KEY (surface_id) REFERENCES inference_surface(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_tested_version_id_daa33dfe_fk_inference FOREIGN KEY (tested_version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_texts_id_00c09eea_fk_inference FOREIGN KEY (texts_id) REFERENCES inference_snapshot(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_trainingrun
    ADD CONSTRAINT inference_trainingru_version_id_129c3720_fk_inference FOREIGN KEY (version_id) REFERENCES inference_modelversion(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE ONLY inference_uploadedimage
    ADD CONSTRAINT inference_uploadedim_project_id_9024860f_fk_accounts_ FOREIGN KEY (project_id) REFERENCES accounts_project(id) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO django_content_type VALUES
	(1, 'admin', 'logentry'),
	(2, 'auth', 'permission'),
	(3, 'auth', 'group'),
	(4, 'auth', 'user'),
	(5, 'contenttypes', 'contenttype'),
	(6, 'sessions', 'session'),
	(7, 'accounts', 'project'),
	(8, 'accounts', 'auditentry'),
	(9, 'accounts', 'apikey'),
	(10, 'accounts', 'membership'),
	(11, 'accounts', 'externalidentity'),
	(12, 'accounts', 'invitation'),
	(13, 'accounts', 'passwordreset'),
	(14, 'accounts', 'secondfactor'),
	(15, 'accounts', 'recoverycode'),
	(16, 'accounts', 'usageentry'),
	(17, 'accounts', 'monthlyusage'),
	(18, 'accounts', 'quota'),
	(19, 'accounts', 'passkey'),
	(20, 'accounts', 'savedview'),
	(21, 'accounts', 'signedinsession'),
	(22, 'alerts', 'alert'),
	(23, 'alerts', 'subscription'),
	(24, 'alerts', 'delivery'),
	(25, 'experiments', 'experiment'),
	(26, 'experiments', 'decision'),
	(27, 'experiments', 'metric'),
	(28, 'experiments', 'experimentmetric'),
	(29, 'experiments', 'unit'),
	(30, 'experiments', 'variant'),
	(31, 'experiments', 'total'),
	(32, 'experiments', 'slate'),
	(33, 'experiments', 'observation'),
	(34, 'experiments', 'feedback'),
	(35, 'experiments', 'exposuretotal'),
	(36, 'experiments', 'exposure'),
	(37, 'experiments', 'event'),
	(38, 'experiments', 'epoch'),
	(39, 'experiments', 'look'),
	(40, 'experiments', 'quantilecount'),
	(41, 'experiments', 'eventid'),
	(42, 'experiments', 'excludedunit'),
	(43, 'experiments', 'link'),
	(44, 'experiments', 'holdout'),
	(45, 'experiments', 'layer'),
	(46, 'experiments', 'savedgroup'),
	(47, 'experiments', 'reportshare'),
	(48, 'experiments', 'review'),
	(49, 'experiments', 'quarantinedexposure'),
	(50, 'experiments', 'transactionclock'),
	(51, 'experiments', 'challenger'),
	(52, 'experiments', 'proposal'),
	(53, 'experiments', 'approval'),
	(54, 'experiments', 'programme'),
	(55, 'experiments', 'breakercount'),
	(56, 'experiments', 'ruleversion'),
	(57, 'experiments', 'labeltask'),
	(58, 'experiments', 'labelopinion'),
	(59, 'experiments', 'sampledanswer'),
	(60, 'experiments', 'answerrating'),
	(61, 'experiments', 'judgement'),
	(62, 'experiments', 'judgeplan'),
	(63, 'experiments', 'dataset'),
	(64, 'experiments', 'datasetrow'),
	(65, 'experiments', 'rowanswer'),
	(66, 'experiments', 'versioncheck'),
	(67, 'experiments', 'interleavedunit'),
	(68, 'experiments', 'interleaving'),
	(69, 'experiments', 'dataexport'),
	(70, 'experiments', 'theme'),
	(71, 'experiments', 'themedtext'),
	(72, 'experiments', 'themereading'),
	(73, 'experiments', 'survey'),
	(74, 'experiments', 'comment'),
	(75, 'experiments', 'blocksum'),
	(76, 'experiments', 'archivedmonth'),
	(77, 'experiments', 'segmentsatstart'),
	(78, 'experiments', 'variantpicture'),
	(79, 'inference', 'itemvector'),
	(80, 'inference', 'surface'),
	(81, 'inference', 'snapshot'),
	(82, 'inference', 'modelversion'),
	(83, 'inference', 'trainingrun'),
	(84, 'inference', 'item'),
	(85, 'inference', 'aliasmove'),
	(86, 'inference', 'driftreport'),
	(87, 'inference', 'example'),
	(88, 'inference', 'shadowanswer'),
	(89, 'inference', 'artifactstore'),
	(90, 'inference', 'cataloguestate'),
	(91, 'inference', 'fetchedimage'),
	(92, 'inference', 'imagevector'),
	(93, 'inference', 'uploadedimage'),
	(94, 'inference', 'runlogline'),
	(95, 'inference', 'policycount'),
	(96, 'inference', 'itemword');
INSERT INTO auth_permission VALUES
	(1, 'Can add log entry', 1, 'add_logentry'),
	(2, 'Can change log entry', 1, 'change_logentry'),
	(3, 'Can delete log entry', 1, 'delete_logentry'),
	(4, 'Can view log entry', 1, 'view_logentry'),
	(5, 'Can add permission', 2, 'add_permission'),
	(6, 'Can change permission', 2, 'change_permission'),
	(7, 'Can delete permission', 2, 'delete_permission'),
	(8, 'Can view permission', 2, 'view_permission'),
	(9, 'Can add group', 3, 'add_group'),
	(10, 'Can change group', 3, 'change_group'),
	(11, 'Can delete group', 3, 'delete_group'),
	(12, 'Can view group', 3, 'view_group'),
	(13, 'Can add user', 4, 'add_user'),
	(14, 'Can change user', 4, 'change_user'),
	(15, 'Can delete user', 4, 'delete_user'),
	(16, 'Can view user', 4, 'view_user'),
	(17, 'Can add content type', 5, 'add_contenttype'),
	(18, 'Can change content type', 5, 'change_contenttype'),
	(19, 'Can delete content type', 5, 'delete_contenttype'),
	(20, 'Can view content type', 5, 'view_contenttype'),
	(21, 'Can add session', 6, 'add_session'),
	(22, 'Can change session', 6, 'change_session'),
	(23, 'Can delete session', 6, 'delete_session'),
	(24, 'Can view session', 6, 'view_session'),
	(25, 'Can add project', 7, 'add_project'),
	(26, 'Can change project', 7, 'change_project'),
	(27, 'Can delete project', 7, 'delete_project'),
	(28, 'Can view project', 7, 'view_project'),
	(29, 'Can add audit entry', 8, 'add_auditentry'),
	(30, 'Can change audit entry', 8, 'change_auditentry'),
	(31, 'Can delete audit entry', 8, 'delete_auditentry'),
	(32, 'Can view audit entry', 8, 'view_auditentry'),
	(33, 'Can add api key', 9, 'add_apikey'),
	(34, 'Can change api key', 9, 'change_apikey'),
	(35, 'Can delete api key', 9, 'delete_apikey'),
	(36, 'Can view api key', 9, 'view_apikey'),
	(37, 'Can add membership', 10, 'add_membership'),
	(38, 'Can change membership', 10, 'change_membership'),
	(39, 'Can delete membership', 10, 'delete_membership'),
	(40, 'Can view membership', 10, 'view_membership'),
	(41, 'Can add external identity', 11, 'add_externalidentity'),
	(42, 'Can change external identity', 11, 'change_externalidentity'),
	(43, 'Can delete external identity', 11, 'delete_externalidentity'),
	(44, 'Can view external identity', 11, 'view_externalidentity'),
	(45, 'Can add invitation', 12, 'add_invitation'),
	(46, 'Can change invitation', 12, 'change_invitation'),
	(47, 'Can delete invitation', 12, 'delete_invitation'),
	(48, 'Can view invitation', 12, 'view_invitation'),
	(49, 'Can add password reset', 13, 'add_passwordreset'),
	(50, 'Can change password reset', 13, 'change_passwordreset'),
	(51, 'Can delete password reset', 13, 'delete_passwordreset'),
	(52, 'Can view password reset', 13, 'view_passwordreset'),
	(53, 'Can add second factor', 14, 'add_secondfactor'),
	(54, 'Can change second factor', 14, 'change_secondfactor'),
	(55, 'Can delete second factor', 14, 'delete_secondfactor'),
	(56, 'Can view second factor', 14, 'view_secondfactor'),
	(57, 'Can add recovery code', 15, 'add_recoverycode'),
	(58, 'Can change recovery code', 15, 'change_recoverycode'),
	(59, 'Can delete recovery code', 15, 'delete_recoverycode'),
	(60, 'Can view recovery code', 15, 'view_recoverycode'),
	(61, 'Can add usage entry', 16, 'add_usageentry'),
	(62, 'Can change usage entry', 16, 'change_usageentry'),
	(63, 'Can delete usage entry', 16, 'delete_usageentry'),
	(64, 'Can view usage entry', 16, 'view_usageentry'),
	(65, 'Can add monthly usage', 17, 'add_monthlyusage'),
	(66, 'Can change monthly usage', 17, 'change_monthlyusage'),
	(67, 'Can delete monthly usage', 17, 'delete_monthlyusage'),
	(68, 'Can view monthly usage', 17, 'view_monthlyusage'),
	(69, 'Can add quota', 18, 'add_quota'),
	(70, 'Can change quota', 18, 'change_quota'),
	(71, 'Can delete quota', 18, 'delete_quota'),
	(72, 'Can view quota', 18, 'view_quota'),
	(73, 'Can add passkey', 19, 'add_passkey'),
	(74, 'Can change passkey', 19, 'change_passkey'),
	(75, 'Can delete passkey', 19, 'delete_passkey'),
	(76, 'Can view passkey', 19, 'view_passkey'),
	(77, 'Can add saved view', 20, 'add_savedview'),
	(78, 'Can change saved view', 20, 'change_savedview'),
	(79, 'Can delete saved view', 20, 'delete_savedview'),
	(80, 'Can view saved view', 20, 'view_savedview'),
	(81, 'Can add signed in session', 21, 'add_signedinsession'),
	(82, 'Can change signed in session', 21, 'change_signedinsession'),
	(83, 'Can delete signed in session', 21, 'delete_signedinsession'),
	(84, 'Can view signed in session', 21, 'view_signedinsession'),
	(85, 'Can add alert', 22, 'add_alert'),
	(86, 'Can change alert', 22, 'change_alert'),
	(87, 'Can delete alert', 22, 'delete_alert'),
	(88, 'Can view alert', 22, 'view_alert'),
	(89, 'Can add subscription', 23, 'add_subscription'),
	(90, 'Can change subscription', 23, 'change_subscription'),
	(91, 'Can delete subscription', 23, 'delete_subscription'),
	(92, 'Can view subscription', 23, 'view_subscription'),
	(93, 'Can add delivery', 24, 'add_delivery'),
	(94, 'Can change delivery', 24, 'change_delivery'),
	(95, 'Can delete delivery', 24, 'delete_delivery'),
	(96, 'Can view delivery', 24, 'view_delivery'),
	(97, 'Can add experiment', 25, 'add_experiment'),
	(98, 'Can change experiment', 25, 'change_experiment'),
	(99, 'Can delete experiment', 25, 'delete_experiment'),
	(100, 'Can view experiment', 25, 'view_experiment'),
	(101, 'Can add decision', 26, 'add_decision'),
	(102, 'Can change decision', 26, 'change_decision'),
	(103, 'Can delete decision', 26, 'delete_decision'),
	(104, 'Can view decision', 26, 'view_decision'),
	(105, 'Can add metric', 27, 'add_metric'),
	(106, 'Can change metric', 27, 'change_metric'),
	(107, 'Can delete metric', 27, 'delete_metric'),
	(108, 'Can view metric', 27, 'view_metric'),
	(109, 'Can add experiment metric', 28, 'add_experimentmetric'),
	(110, 'Can change experiment metric', 28, 'change_experimentmetric'),
	(111, 'Can delete experiment metric', 28, 'delete_experimentmetric'),
	(112, 'Can view experiment metric', 28, 'view_experimentmetric'),
	(113, 'Can add unit', 29, 'add_unit'),
	(114, 'Can change unit', 29, 'change_unit'),
	(115, 'Can delete unit', 29, 'delete_unit'),
	(116, 'Can view unit', 29, 'view_unit'),
	(117, 'Can add variant', 30, 'add_variant'),
	(118, 'Can change variant', 30, 'change_variant'),
	(119, 'Can delete variant', 30, 'delete_variant'),
	(120, 'Can view variant', 30, 'view_variant'),
	(121, 'Can add total', 31, 'add_total'),
	(122, 'Can change total', 31, 'change_total'),
	(123, 'Can delete total', 31, 'delete_total'),
	(124, 'Can view total', 31, 'view_total'),
	(125, 'Can add slate', 32, 'add_slate'),
	(126, 'Can change slate', 32, 'change_slate'),
	(127, 'Can delete slate', 32, 'delete_slate'),
	(128, 'Can view slate', 32, 'view_slate'),
	(129, 'Can add observation', 33, 'add_observation'),
	(130, 'Can change observation', 33, 'change_observation'),
	(131, 'Can delete observation', 33, 'delete_observation'),
	(132, 'Can view observation', 33, 'view_observation'),
	(133, 'Can add feedback', 34, 'add_feedback'),
	(134, 'Can change feedback', 34, 'change_feedback'),
	(135, 'Can delete feedback', 34, 'delete_feedback'),
	(136, 'Can view feedback', 34, 'view_feedback'),
	(137, 'Can add exposure total', 35, 'add_exposuretotal'),
	(138, 'Can change exposure total', 35, 'change_exposuretotal'),
	(139, 'Can delete exposure total', 35, 'delete_exposuretotal'),
	(140, 'Can view exposure total', 35, 'view_exposuretotal'),
	(141, 'Can add exposure', 36, 'add_exposure'),
	(142, 'Can change exposure', 36, 'change_exposure'),
	(143, 'Can delete exposure', 36, 'delete_exposure'),
	(144, 'Can view exposure', 36, 'view_exposure'),
	(145, 'Can add event', 37, 'add_event'),
	(146, 'Can change event', 37, 'change_event'),
	(147, 'Can delete event', 37, 'delete_event'),
	(148, 'Can view event', 37, 'view_event'),
	(149, 'Can add epoch', 38, 'add_epoch'),
	(150, 'Can change epoch', 38, 'change_epoch'),
	(151, 'Can delete epoch', 38, 'delete_epoch'),
	(152, 'Can view epoch', 38, 'view_epoch'),
	(153, 'Can add look', 39, 'add_look'),
	(154, 'Can change look', 39, 'change_look'),
	(155, 'Can delete look', 39, 'delete_look'),
	(156, 'Can view look', 39, 'view_look'),
	(157, 'Can add quantile count', 40, 'add_quantilecount'),
	(158, 'Can change quantile count', 40, 'change_quantilecount'),
	(159, 'Can delete quantile count', 40, 'delete_quantilecount'),
	(160, 'Can view quantile count', 40, 'view_quantilecount'),
	(161, 'Can add event id', 41, 'add_eventid'),
	(162, 'Can change event id', 41, 'change_eventid'),
	(163, 'Can delete event id', 41, 'delete_eventid'),
	(164, 'Can view event id', 41, 'view_eventid'),
	(165, 'Can add excluded unit', 42, 'add_excludedunit'),
	(166, 'Can change excluded unit', 42, 'change_excludedunit'),
	(167, 'Can delete excluded unit', 42, 'delete_excludedunit'),
	(168, 'Can view excluded unit', 42, 'view_excludedunit'),
	(169, 'Can add link', 43, 'add_link'),
	(170, 'Can change link', 43, 'change_link'),
	(171, 'Can delete link', 43, 'delete_link'),
	(172, 'Can view link', 43, 'view_link'),
	(173, 'Can add holdout', 44, 'add_holdout'),
	(174, 'Can change holdout', 44, 'change_holdout'),
	(175, 'Can delete holdout', 44, 'delete_holdout'),
	(176, 'Can view holdout', 44, 'view_holdout'),
	(177, 'Can add layer', 45, 'add_layer'),
	(178, 'Can change layer', 45, 'change_layer'),
	(179, 'Can delete layer', 45, 'delete_layer'),
	(180, 'Can view layer', 45, 'view_layer'),
	(181, 'Can add saved group', 46, 'add_savedgroup'),
	(182, 'Can change saved group', 46, 'change_savedgroup'),
	(183, 'Can delete saved group', 46, 'delete_savedgroup'),
	(184, 'Can view saved group', 46, 'view_savedgroup'),
	(185, 'Can add report share', 47, 'add_reportshare'),
	(186, 'Can change report share', 47, 'change_reportshare'),
	(187, 'Can delete report share', 47, 'delete_reportshare'),
	(188, 'Can view report share', 47, 'view_reportshare'),
	(189, 'Can add review', 48, 'add_review'),
	(190, 'Can change review', 48, 'change_review'),
	(191, 'Can delete review', 48, 'delete_review'),
	(192, 'Can view review', 48, 'view_review'),
	(193, 'Can add quarantined exposure', 49, 'add_quarantinedexposure'),
	(194, 'Can change quarantined exposure', 49, 'change_quarantinedexposure'),
	(195, 'Can delete quarantined exposure', 49, 'delete_quarantinedexposure'),
	(196, 'Can view quarantined exposure', 49, 'view_quarantinedexposure'),
	(197, 'Can add transaction clock', 50, 'add_transactionclock'),
	(198, 'Can change transaction clock', 50, 'change_transactionclock'),
	(199, 'Can delete transaction clock', 50, 'delete_transactionclock'),
	(200, 'Can view transaction clock', 50, 'view_transactionclock'),
	(201, 'Can add challenger', 51, 'add_challenger'),
	(202, 'Can change challenger', 51, 'change_challenger'),
	(203, 'Can delete challenger', 51, 'delete_challenger'),
	(204, 'Can view challenger', 51, 'view_challenger'),
	(205, 'Can add proposal', 52, 'add_proposal'),
	(206, 'Can change proposal', 52, 'change_proposal'),
	(207, 'Can delete proposal', 52, 'delete_proposal'),
	(208, 'Can view proposal', 52, 'view_proposal'),
	(209, 'Can add approval', 53, 'add_approval'),
	(210, 'Can change approval', 53, 'change_approval'),
	(211, 'Can delete approval', 53, 'delete_approval'),
	(212, 'Can view approval', 53, 'view_approval'),
	(213, 'Can add programme', 54, 'add_programme'),
	(214, 'Can change programme', 54, 'change_programme'),
	(215, 'Can delete programme', 54, 'delete_programme'),
	(216, 'Can view programme', 54, 'view_programme'),
	(217, 'Can add breaker count', 55, 'add_breakercount'),
	(218, 'Can change breaker count', 55, 'change_breakercount'),
	(219, 'Can delete breaker count', 55, 'delete_breakercount'),
	(220, 'Can view breaker count', 55, 'view_breakercount'),
	(221, 'Can add rule version', 56, 'add_ruleversion'),
	(222, 'Can change rule version', 56, 'change_ruleversion'),
	(223, 'Can delete rule version', 56, 'delete_ruleversion'),
	(224, 'Can view rule version', 56, 'view_ruleversion'),
	(225, 'Can add label task', 57, 'add_labeltask'),
	(226, 'Can change label task', 57, 'change_labeltask'),
	(227, 'Can delete label task', 57, 'delete_labeltask'),
	(228, 'Can view label task', 57, 'view_labeltask'),
	(229, 'Can add label opinion', 58, 'add_labelopinion'),
	(230, 'Can change label opinion', 58, 'change_labelopinion'),
	(231, 'Can delete label opinion', 58, 'delete_labelopinion'),
	(232, 'Can view label opinion', 58, 'view_labelopinion'),
	(233, 'Can add sampled answer', 59, 'add_sampledanswer'),
	(234, 'Can change sampled answer', 59, 'change_sampledanswer'),
	(235, 'Can delete sampled answer', 59, 'delete_sampledanswer'),
	(236, 'Can view sampled answer', 59, 'view_sampledanswer'),
	(237, 'Can add answer rating', 60, 'add_answerrating'),
	(238, 'Can change answer rating', 60, 'change_answerrating'),
	(239, 'Can delete answer rating', 60, 'delete_answerrating'),
	(240, 'Can view answer rating', 60, 'view_answerrating'),
	(241, 'Can add judgement', 61, 'add_judgement'),
	(242, 'Can change judgement', 61, 'change_judgement'),
	(243, 'Can delete judgement', 61, 'delete_judgement'),
	(244, 'Can view judgement', 61, 'view_judgement'),
	(245, 'Can add judge plan', 62, 'add_judgeplan'),
	(246, 'Can change judge plan', 62, 'change_judgeplan'),
	(247, 'Can delete judge plan', 62, 'delete_judgeplan'),
	(248, 'Can view judge plan', 62, 'view_judgeplan'),
	(249, 'Can add data set', 63, 'add_dataset'),
	(250, 'Can change data set', 63, 'change_dataset'),
	(251, 'Can delete data set', 63, 'delete_dataset'),
	(252, 'Can view data set', 63, 'view_dataset'),
	(253, 'Can add data set row', 64, 'add_datasetrow'),
	(254, 'Can change data set row', 64, 'change_datasetrow'),
	(255, 'Can delete data set row', 64, 'delete_datasetrow'),
	(256, 'Can view data set row', 64, 'view_datasetrow'),
	(257, 'Can add row answer', 65, 'add_rowanswer'),
	(258, 'Can change row answer', 65, 'change_rowanswer'),
	(259, 'Can delete row answer', 65, 'delete_rowanswer'),
	(260, 'Can view row answer', 65, 'view_rowanswer'),
	(261, 'Can add version check', 66, 'add_versioncheck'),
	(262, 'Can change version check', 66, 'change_versioncheck'),
	(263, 'Can delete version check', 66, 'delete_versioncheck'),
	(264, 'Can view version check', 66, 'view_versioncheck'),
	(265, 'Can add interleaved unit', 67, 'add_interleavedunit'),
	(266, 'Can change interleaved unit', 67, 'change_interleavedunit'),
	(267, 'Can delete interleaved unit', 67, 'delete_interleavedunit'),
	(268, 'Can view interleaved unit', 67, 'view_interleavedunit'),
	(269, 'Can add interleaving', 68, 'add_interleaving'),
	(270, 'Can change interleaving', 68, 'change_interleaving'),
	(271, 'Can delete interleaving', 68, 'delete_interleaving'),
	(272, 'Can view interleaving', 68, 'view_interleaving'),
	(273, 'Can add data export', 69, 'add_dataexport'),
	(274, 'Can change data export', 69, 'change_dataexport'),
	(275, 'Can delete data export', 69, 'delete_dataexport'),
	(276, 'Can view data export', 69, 'view_dataexport'),
	(277, 'Can add theme', 70, 'add_theme'),
	(278, 'Can change theme', 70, 'change_theme'),
	(279, 'Can delete theme', 70, 'delete_theme'),
	(280, 'Can view theme', 70, 'view_theme'),
	(281, 'Can add themed text', 71, 'add_themedtext'),
	(282, 'Can change themed text', 71, 'change_themedtext'),
	(283, 'Can delete themed text', 71, 'delete_themedtext'),
	(284, 'Can view themed text', 71, 'view_themedtext'),
	(285, 'Can add theme reading', 72, 'add_themereading'),
	(286, 'Can change theme reading', 72, 'change_themereading'),
	(287, 'Can delete theme reading', 72, 'delete_themereading'),
	(288, 'Can view theme reading', 72, 'view_themereading'),
	(289, 'Can add survey', 73, 'add_survey'),
	(290, 'Can change survey', 73, 'change_survey'),
	(291, 'Can delete survey', 73, 'delete_survey'),
	(292, 'Can view survey', 73, 'view_survey'),
	(293, 'Can add comment', 74, 'add_comment'),
	(294, 'Can change comment', 74, 'change_comment'),
	(295, 'Can delete comment', 74, 'delete_comment'),
	(296, 'Can view comment', 74, 'view_comment'),
	(297, 'Can add block sum', 75, 'add_blocksum'),
	(298, 'Can change block sum', 75, 'change_blocksum'),
	(299, 'Can delete block sum', 75, 'delete_blocksum'),
	(300, 'Can view block sum', 75, 'view_blocksum'),
	(301, 'Can add archived month', 76, 'add_archivedmonth'),
	(302, 'Can change archived month', 76, 'change_archivedmonth'),
	(303, 'Can delete archived month', 76, 'delete_archivedmonth'),
	(304, 'Can view archived month', 76, 'view_archivedmonth'),
	(305, 'Can add segments at start', 77, 'add_segmentsatstart'),
	(306, 'Can change segments at start', 77, 'change_segmentsatstart'),
	(307, 'Can delete segments at start', 77, 'delete_segmentsatstart'),
	(308, 'Can view segments at start', 77, 'view_segmentsatstart'),
	(309, 'Can add variant picture', 78, 'add_variantpicture'),
	(310, 'Can change variant picture', 78, 'change_variantpicture'),
	(311, 'Can delete variant picture', 78, 'delete_variantpicture'),
	(312, 'Can view variant picture', 78, 'view_variantpicture'),
	(313, 'Can add item vector', 79, 'add_itemvector'),
	(314, 'Can change item vector', 79, 'change_itemvector'),
	(315, 'Can delete item vector', 79, 'delete_itemvector'),
	(316, 'Can view item vector', 79, 'view_itemvector'),
	(317, 'Can add surface', 80, 'add_surface'),
	(318, 'Can change surface', 80, 'change_surface'),
	(319, 'Can delete surface', 80, 'delete_surface'),
	(320, 'Can view surface', 80, 'view_surface'),
	(321, 'Can add snapshot', 81, 'add_snapshot'),
	(322, 'Can change snapshot', 81, 'change_snapshot'),
	(323, 'Can delete snapshot', 81, 'delete_snapshot'),
	(324, 'Can view snapshot', 81, 'view_snapshot'),
	(325, 'Can add model version', 82, 'add_modelversion'),
	(326, 'Can change model version', 82, 'change_modelversion'),
	(327, 'Can delete model version', 82, 'delete_modelversion'),
	(328, 'Can view model version', 82, 'view_modelversion'),
	(329, 'Can add training run', 83, 'add_trainingrun'),
	(330, 'Can change training run', 83, 'change_trainingrun'),
	(331, 'Can delete training run', 83, 'delete_trainingrun'),
	(332, 'Can view training run', 83, 'view_trainingrun'),
	(333, 'Can add item', 84, 'add_item'),
	(334, 'Can change item', 84, 'change_item'),
	(335, 'Can delete item', 84, 'delete_item'),
	(336, 'Can view item', 84, 'view_item'),
	(337, 'Can add alias move', 85, 'add_aliasmove'),
	(338, 'Can change alias move', 85, 'change_aliasmove'),
	(339, 'Can delete alias move', 85, 'delete_aliasmove'),
	(340, 'Can view alias move', 85, 'view_aliasmove'),
	(341, 'Can add drift report', 86, 'add_driftreport'),
	(342, 'Can change drift report', 86, 'change_driftreport'),
	(343, 'Can delete drift report', 86, 'delete_driftreport'),
	(344, 'Can view drift report', 86, 'view_driftreport'),
	(345, 'Can add example', 87, 'add_example'),
	(346, 'Can change example', 87, 'change_example'),
	(347, 'Can delete example', 87, 'delete_example'),
	(348, 'Can view example', 87, 'view_example'),
	(349, 'Can add shadow answer', 88, 'add_shadowanswer'),
	(350, 'Can change shadow answer', 88, 'change_shadowanswer'),
	(351, 'Can delete shadow answer', 88, 'delete_shadowanswer'),
	(352, 'Can view shadow answer', 88, 'view_shadowanswer'),
	(353, 'Can add artifact store', 89, 'add_artifactstore'),
	(354, 'Can change artifact store', 89, 'change_artifactstore'),
	(355, 'Can delete artifact store', 89, 'delete_artifactstore'),
	(356, 'Can view artifact store', 89, 'view_artifactstore'),
	(357, 'Can add catalogue state', 90, 'add_cataloguestate'),
	(358, 'Can change catalogue state', 90, 'change_cataloguestate'),
	(359, 'Can delete catalogue state', 90, 'delete_cataloguestate'),
	(360, 'Can view catalogue state', 90, 'view_cataloguestate'),
	(361, 'Can add fetched image', 91, 'add_fetchedimage'),
	(362, 'Can change fetched image', 91, 'change_fetchedimage'),
	(363, 'Can delete fetched image', 91, 'delete_fetchedimage'),
	(364, 'Can view fetched image', 91, 'view_fetchedimage'),
	(365, 'Can add image vector', 92, 'add_imagevector'),
	(366, 'Can change image vector', 92, 'change_imagevector'),
	(367, 'Can delete image vector', 92, 'delete_imagevector'),
	(368, 'Can view image vector', 92, 'view_imagevector'),
	(369, 'Can add uploaded image', 93, 'add_uploadedimage'),
	(370, 'Can change uploaded image', 93, 'change_uploadedimage'),
	(371, 'Can delete uploaded image', 93, 'delete_uploadedimage'),
	(372, 'Can view uploaded image', 93, 'view_uploadedimage'),
	(373, 'Can add run log line', 94, 'add_runlogline'),
	(374, 'Can change run log line', 94, 'change_runlogline'),
	(375, 'Can delete run log line', 94, 'delete_runlogline'),
	(376, 'Can view run log line', 94, 'view_runlogline'),
	(377, 'Can add policy count', 95, 'add_policycount'),
	(378, 'Can change policy count', 95, 'change_policycount'),
	(379, 'Can delete policy count', 95, 'delete_policycount'),
	(380, 'Can view policy count', 95, 'view_policycount'),
	(381, 'Can add item word', 96, 'add_itemword'),
	(382, 'Can change item word', 96, 'change_itemword'),
	(383, 'Can delete item word', 96, 'delete_itemword'),
	(384, 'Can view item word', 96, 'view_itemword');
SELECT pg_catalog.setval('auth_permission_id_seq', 384, true);
SELECT pg_catalog.setval('django_content_type_id_seq', 96, true);
INSERT INTO django_migrations (app, name, applied) VALUES
	('contenttypes', '0001_initial', now()),
	('auth', '0001_initial', now()),
	('accounts', '0001_initial', now()),
	('accounts', '0002_ingestion', now()),
	('accounts', '0003_faces', now()),
	('accounts', '0004_scopes_of_keys', now()),
	('accounts', '0005_max_events_per_minute', now()),
	('accounts', '0006_keys_can_be_read', now()),
	('accounts', '0007_owner_of_a_key', now()),
	('accounts', '0008_sample_project', now()),
	('accounts', '0009_keys_expire', now()),
	('accounts', '0010_single_sign_on', now()),
	('accounts', '0011_invitations', now()),
	('accounts', '0012_password_resets', now()),
	('accounts', '0013_second_factors', now()),
	('accounts', '0014_usage_and_quotas', now()),
	('accounts', '0015_passkeys_expand', now()),
	('accounts', '0016_saved_views_expand', now()),
	('accounts', '0017_sessions_expand', now()),
	('accounts', '0018_audit_by_subject', now()),
	('accounts', '0019_invitation_mailed_expand', now()),
	('admin', '0001_initial', now()),
	('admin', '0002_logentry_remove_auto_add', now()),
	('admin', '0003_logentry_add_action_flag_choices', now()),
	('alerts', '0001_outbox', now()),
	('alerts', '0002_time_of_the_last_attempt', now()),
	('alerts', '0003_alerts_of_themes', now()),
	('alerts', '0004_quota_alerts', now()),
	('alerts', '0005_mentions', now()),
	('contenttypes', '0002_remove_content_type_name', now()),
	('auth', '0002_alter_permission_name_max_length', now()),
	('auth', '0003_alter_user_email_max_length', now()),
	('auth', '0004_alter_user_username_opts', now()),
	('auth', '0005_alter_user_last_login_null', now()),
	('auth', '0006_require_contenttypes_0002', now()),
	('auth', '0007_alter_validators_add_error_messages', now()),
	('auth', '0008_alter_user_username_max_length', now()),
	('auth', '0009_alter_user_last_name_max_length', now()),
	('auth', '0010_alter_group_name_max_length', now()),
	('auth', '0011_update_proxy_permissions', now()),
	('auth', '0012_alter_user_first_name_max_length', now()),
	('inference', '0001_initial', now()),
	('inference', '0002_ingestion', now()),
	('inference', '0003_learning', now()),
	('inference', '0004_answers_and_shadow', now()),
	('inference', '0005_assignment', now()),
	('inference', '0006_surface_labels_and_run_notes', now()),
	('inference', '0007_due_rows', now()),
	('inference', '0008_artifact_store', now()),
	('inference', '0009_readable_times', now()),
	('inference', '0010_algorithm', now()),
	('inference', '0011_run_of_a_refit', now()),
	('inference', '0012_catalogue_fields', now()),
	('inference', '0013_surface_rules', now()),
	('inference', '0014_item_neighbours', now()),
	('inference', '0015_item_document', now()),
	('inference', '0016_costs_of_mistakes', now()),
	('inference', '0017_groups_of_a_surface', now()),
	('inference', '0018_run_stage', now()),
	('inference', '0019_surfaces_generate', now()),
	('inference', '0020_event_weights', now()),
	('inference', '0021_images', now()),
	('inference', '0022_texts_of_a_run', now()),
	('inference', '0023_context_features', now()),
	('inference', '0024_uploaded_images', now()),
	('inference', '0025_shadow_texts', now()),
	('inference', '0026_surfaces_rank', now()),
	('inference', '0027_run_log_expand', now()),
	('inference', '0028_text_classifier_expand', now()),
	('inference', '0029_policy_counts_expand', now()),
	('inference', '0030_theme_namer_expand', now()),
	('inference', '0031_policy_counts_that_run_expand', now()),
	('experiments', '0001_initial', now()),
	('experiments', '0002_transaction_ids', now()),
	('experiments', '0003_metrics_and_segments', now()),
	('experiments', '0004_ingestion', now()),
	('experiments', '0005_partitions', now()),
	('experiments', '0006_correction_value', now()),
	('experiments', '0007_assignment', now()),
	('experiments', '0008_faces', now()),
	('experiments', '0009_serving_of_looks', now()),
	('experiments', '0010_keys_apart', now()),
	('experiments', '0011_links_by_user', now()),
	('experiments', '0012_no_statistics_of_tenants', now()),
	('experiments', '0013_exposure_last_epoch', now()),
	('experiments', '0014_transaction_clock', now()),
	('experiments', '0015_exposures_claimed', now()),
	('experiments', '0016_readable_times', now()),
	('experiments', '0017_learnings_and_creators', now()),
	('experiments', '0018_names_of_metric_fields', now()),
	('experiments', '0019_metrics_of_an_experiment', now()),
	('experiments', '0020_plain_observations', now()),
	('experiments', '0021_observations_without_key_checks', now()),
	('experiments', '0022_experiment_has_a_name', now()),
	('experiments', '0023_programme_of_a_surface', now()),
	('experiments', '0024_programmes_keep_their_metric', now()),
	('experiments', '0025_purpose_of_an_experiment', now()),
	('experiments', '0026_ramps_tell_by_alerts', now()),
	('experiments', '0027_breaker_counts_first_outcomes', now()),
	('experiments', '0028_projects_have_serving_metrics', now()),
	('experiments', '0029_slates_by_surface', now()),
	('experiments', '0030_rule_versions', now()),
	('experiments', '0031_label_tasks', now()),
	('experiments', '0032_proposals_of_settings', now()),
	('experiments', '0033_generations', now()),
	('experiments', '0034_judgements', now()),
	('experiments', '0035_data_sets_and_checks', now()),
	('experiments', '0036_check_margins', now()),
	('experiments', '0037_quality_of_looks', now()),
	('experiments', '0038_proposals_of_exposure', now()),
	('experiments', '0039_interleaving', now()),
	('experiments', '0040_scores_are_events', now()),
	('experiments', '0041_exports_of_records', now()),
	('experiments', '0042_themes_of_feedback', now()),
	('experiments', '0043_covariates_by_prediction', now()),
	('experiments', '0044_bandits', now()),
	('experiments', '0045_surveys', now()),
	('experiments', '0046_feedback_to_label', now()),
	('experiments', '0047_themed_texts_go_by_unit', now()),
	('experiments', '0048_texts_of_project', now()),
	('experiments', '0049_rewards_are_events', now()),
	('experiments', '0050_clusters', now()),
	('experiments', '0051_metrics_have_owners', now()),
	('experiments', '0052_comments', now()),
	('experiments', '0053_switchback', now()),
	('experiments', '0054_survey_targeting_expand', now()),
	('experiments', '0055_archived_months_expand', now()),
	('experiments', '0056_experiment_tags_expand', now()),
	('experiments', '0057_segments_at_start_expand', now()),
	('experiments', '0058_answers_in_words', now()),
	('experiments', '0059_labels_of_texts_expand', now()),
	('experiments', '0060_failures_by_version_expand', now()),
	('experiments', '0061_variant_pictures_expand', now()),
	('experiments', '0062_theme_names_expand', now()),
	('experiments', '0063_sources_of_theme_names_expand', now()),
	('experiments', '0064_deleted_decisions_expand', now()),
	('experiments', '0065_weighted_scores_expand', now()),
	('experiments', '0066_archived_expand', now()),
	('inference', '0032_item_words_expand', now()),
	('inference', '0033_known_properties_expand', now()),
	('inference', '0034_archived_expand', now()),
	('sessions', '0001_initial', now());
DO $$ BEGIN
        INSERT INTO experiments_transactionclock (id, cluster, "offset")
            SELECT 1, system_identifier::text, 0 FROM pg_control_system();
    EXCEPTION WHEN insufficient_privilege THEN
        INSERT INTO experiments_transactionclock (id, cluster, "offset") VALUES (1, '', 0);
    END $$;
SELECT pg_catalog.setval('experiments_event_number', 1, true);
