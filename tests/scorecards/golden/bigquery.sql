-- count
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t18`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t18`.`y`) AS `sum_y`,
  SUM(`t18`.`y` * `t18`.`y`) AS `sum_yy`,
  SUM(`t18`.`d`) AS `sum_d`,
  SUM(`t18`.`d` * `t18`.`d`) AS `sum_dd`,
  SUM(`t18`.`y` * `t18`.`d`) AS `sum_yd`,
  SUM(`t18`.`x`) AS `sum_x`,
  SUM(`t18`.`x` * `t18`.`x`) AS `sum_xx`,
  SUM(`t18`.`y` * `t18`.`x`) AS `sum_yx`,
  SUM(`t18`.`w`) AS `sum_w`,
  SUM(`t18`.`w` * `t18`.`w`) AS `sum_ww`,
  SUM(`t18`.`y` * `t18`.`w`) AS `sum_yw`,
  SUM(`t18`.`d` * `t18`.`x`) AS `sum_dx`,
  SUM(`t18`.`d` * `t18`.`w`) AS `sum_dw`,
  SUM(`t18`.`x` * `t18`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            CAST(COUNT(*) AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'click'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '0' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2;

-- proportion
WITH `t7` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t28`.`variant`,
  `t28`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t28`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t28`.`y`) AS `sum_y`,
  SUM(`t28`.`y` * `t28`.`y`) AS `sum_yy`,
  SUM(`t28`.`d`) AS `sum_d`,
  SUM(`t28`.`d` * `t28`.`d`) AS `sum_dd`,
  SUM(`t28`.`y` * `t28`.`d`) AS `sum_yd`,
  SUM(`t28`.`x`) AS `sum_x`,
  SUM(`t28`.`x` * `t28`.`x`) AS `sum_xx`,
  SUM(`t28`.`y` * `t28`.`x`) AS `sum_yx`,
  SUM(`t28`.`w`) AS `sum_w`,
  SUM(`t28`.`w` * `t28`.`w`) AS `sum_ww`,
  SUM(`t28`.`y` * `t28`.`w`) AS `sum_yw`,
  SUM(`t28`.`d` * `t28`.`x`) AS `sum_dx`,
  SUM(`t28`.`d` * `t28`.`w`) AS `sum_dw`,
  SUM(`t28`.`x` * `t28`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t27`.`unit_id`,
    `t27`.`variant`,
    `t27`.`epoch`,
    `t27`.`exposed_at`,
    COALESCE(`t27`.`u`, 0.0) AS `u`,
    COALESCE(`t27`.`x`, 0.0) AS `x`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t27`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t26`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t25`.`unit_id`,
        `t25`.`variant`,
        `t25`.`epoch`,
        `t25`.`exposed_at`,
        `t25`.`u`,
        `t21`.`unit_id` AS `unit_id_right`,
        `t21`.`x`
      FROM (
        SELECT
          `t23`.*
          EXCEPT (`unit_id_right`)
        FROM (
          SELECT
            `t11`.`unit_id`,
            `t11`.`variant`,
            `t11`.`epoch`,
            `t11`.`exposed_at`,
            `t22`.`unit_id` AS `unit_id_right`,
            `t22`.`u`
          FROM (
            SELECT
              `t8`.`unit_id`,
              `t8`.`variant`,
              `t8`.`epoch`,
              `t8`.`exposed_at`
            FROM `t7` AS `t8`
            WHERE
              `t8`.`place` = 0
          ) AS `t11`
          LEFT OUTER JOIN (
            SELECT
              `t18`.`unit_id`,
              `t18`.`total` AS `u`
            FROM (
              SELECT
                `t16`.`unit_id`,
                CAST(CASE WHEN COUNT(*) > 0 THEN 1 ELSE 0 END AS FLOAT64) AS `total`
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t6`.`unit_id`,
                    `t6`.`name`,
                    `t6`.`occurred_at`,
                    `t6`.`value`,
                    `t6`.`item_id`,
                    `t6`.`properties`,
                    `t6`.`recommendation_id`,
                    `t6`.`source`,
                    `t12`.`exposed_at`
                  FROM (
                    SELECT
                      *
                    FROM `events` AS `t1`
                    WHERE
                      `t1`.`source` = 'live' AND `t1`.`name` = 'click'
                  ) AS `t6`
                  INNER JOIN (
                    SELECT
                      `t8`.`unit_id`,
                      `t8`.`exposed_at`
                    FROM `t7` AS `t8`
                    WHERE
                      `t8`.`place` = 0
                  ) AS `t12`
                    ON `t6`.`unit_id` = `t12`.`unit_id`
                ) AS `t14`
                WHERE
                  `t14`.`occurred_at` >= TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '0' MICROSECOND)
                  AND `t14`.`occurred_at` < TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
              ) AS `t16`
              GROUP BY
                1
            ) AS `t18`
          ) AS `t22`
            ON `t11`.`unit_id` = `t22`.`unit_id`
        ) AS `t23`
      ) AS `t25`
      LEFT OUTER JOIN (
        SELECT
          `t17`.`unit_id`,
          `t17`.`total` AS `x`
        FROM (
          SELECT
            `t15`.`unit_id`,
            CAST(CASE WHEN COUNT(*) > 0 THEN 1 ELSE 0 END AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t5`.`unit_id`,
                `t5`.`name`,
                `t5`.`occurred_at`,
                `t5`.`value`,
                `t5`.`item_id`,
                `t5`.`properties`,
                `t5`.`recommendation_id`,
                `t5`.`source`,
                `t12`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`name` = 'click'
              ) AS `t5`
              INNER JOIN (
                SELECT
                  `t8`.`unit_id`,
                  `t8`.`exposed_at`
                FROM `t7` AS `t8`
                WHERE
                  `t8`.`place` = 0
              ) AS `t12`
                ON `t5`.`unit_id` = `t12`.`unit_id`
            ) AS `t13`
            WHERE
              `t13`.`occurred_at` >= TIMESTAMP_SUB(`t13`.`exposed_at`, INTERVAL '600000000' MICROSECOND)
              AND `t13`.`occurred_at` < TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '0' MICROSECOND)
          ) AS `t15`
          GROUP BY
            1
        ) AS `t17`
      ) AS `t21`
        ON `t25`.`unit_id` = `t21`.`unit_id`
    ) AS `t26`
  ) AS `t27`
  WHERE
    TIMESTAMP_ADD(`t27`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t28`
GROUP BY
  1,
  2;

-- retention
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t18`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t18`.`y`) AS `sum_y`,
  SUM(`t18`.`y` * `t18`.`y`) AS `sum_yy`,
  SUM(`t18`.`d`) AS `sum_d`,
  SUM(`t18`.`d` * `t18`.`d`) AS `sum_dd`,
  SUM(`t18`.`y` * `t18`.`d`) AS `sum_yd`,
  SUM(`t18`.`x`) AS `sum_x`,
  SUM(`t18`.`x` * `t18`.`x`) AS `sum_xx`,
  SUM(`t18`.`y` * `t18`.`x`) AS `sum_yx`,
  SUM(`t18`.`w`) AS `sum_w`,
  SUM(`t18`.`w` * `t18`.`w`) AS `sum_ww`,
  SUM(`t18`.`y` * `t18`.`w`) AS `sum_yw`,
  SUM(`t18`.`d` * `t18`.`x`) AS `sum_dx`,
  SUM(`t18`.`d` * `t18`.`w`) AS `sum_dw`,
  SUM(`t18`.`x` * `t18`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            CAST(CASE WHEN COUNT(*) > 0 THEN 1 ELSE 0 END AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'view'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '600000000' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '2400000000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '2400000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2;

-- funnel
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
), `t11` AS (
  SELECT
    `t4`.`unit_id`,
    `t4`.`name`,
    `t4`.`occurred_at`,
    `t4`.`value`,
    `t4`.`item_id`,
    `t4`.`properties`,
    `t4`.`recommendation_id`,
    `t4`.`source`,
    `t10`.`exposed_at`
  FROM (
    SELECT
      *
    FROM `events` AS `t1`
    WHERE
      `t1`.`source` = 'live'
  ) AS `t4`
  INNER JOIN (
    SELECT
      `t6`.`unit_id`,
      `t6`.`exposed_at`
    FROM `t5` AS `t6`
    WHERE
      `t6`.`place` = 0
  ) AS `t10`
    ON `t4`.`unit_id` = `t10`.`unit_id`
)
SELECT
  `t31`.`variant`,
  `t31`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t31`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t31`.`y`) AS `sum_y`,
  SUM(`t31`.`y` * `t31`.`y`) AS `sum_yy`,
  SUM(`t31`.`d`) AS `sum_d`,
  SUM(`t31`.`d` * `t31`.`d`) AS `sum_dd`,
  SUM(`t31`.`y` * `t31`.`d`) AS `sum_yd`,
  SUM(`t31`.`x`) AS `sum_x`,
  SUM(`t31`.`x` * `t31`.`x`) AS `sum_xx`,
  SUM(`t31`.`y` * `t31`.`x`) AS `sum_yx`,
  SUM(`t31`.`w`) AS `sum_w`,
  SUM(`t31`.`w` * `t31`.`w`) AS `sum_ww`,
  SUM(`t31`.`y` * `t31`.`w`) AS `sum_yw`,
  SUM(`t31`.`d` * `t31`.`x`) AS `sum_dx`,
  SUM(`t31`.`d` * `t31`.`w`) AS `sum_dw`,
  SUM(`t31`.`x` * `t31`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t30`.`unit_id`,
    `t30`.`variant`,
    `t30`.`epoch`,
    `t30`.`exposed_at`,
    COALESCE(`t30`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t30`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t29`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t28`.`unit_id` AS `unit_id_right`,
        `t28`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t26`.`unit_id`,
          1.0 AS `u`
        FROM (
          SELECT
            `t25`.`unit_id`,
            MIN(`t25`.`occurred_at`) AS `reached_at`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t16`.`unit_id`,
                `t16`.`occurred_at`,
                `t23`.`reached_at`
              FROM (
                SELECT
                  `t12`.`unit_id`,
                  `t12`.`occurred_at`
                FROM `t11` AS `t12`
                WHERE
                  `t12`.`occurred_at` >= TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '0' MICROSECOND)
                  AND `t12`.`occurred_at` < TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
                  AND `t12`.`name` = 'buy'
              ) AS `t16`
              INNER JOIN (
                SELECT
                  `t21`.`unit_id`,
                  MIN(`t21`.`occurred_at`) AS `reached_at`
                FROM (
                  SELECT
                    *
                  FROM (
                    SELECT
                      `t17`.`unit_id`,
                      `t17`.`occurred_at`,
                      `t19`.`reached_at`
                    FROM (
                      SELECT
                        `t12`.`unit_id`,
                        `t12`.`occurred_at`
                      FROM `t11` AS `t12`
                      WHERE
                        `t12`.`occurred_at` >= TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '0' MICROSECOND)
                        AND `t12`.`occurred_at` < TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
                        AND `t12`.`name` = 'click'
                    ) AS `t17`
                    INNER JOIN (
                      SELECT
                        `t15`.`unit_id`,
                        MIN(`t15`.`occurred_at`) AS `reached_at`
                      FROM (
                        SELECT
                          `t12`.`unit_id`,
                          `t12`.`occurred_at`
                        FROM `t11` AS `t12`
                        WHERE
                          `t12`.`occurred_at` >= TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '0' MICROSECOND)
                          AND `t12`.`occurred_at` < TIMESTAMP_ADD(`t12`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
                          AND `t12`.`name` = 'view'
                      ) AS `t15`
                      GROUP BY
                        1
                    ) AS `t19`
                      ON `t17`.`unit_id` = `t19`.`unit_id`
                  ) AS `t20`
                  WHERE
                    `t20`.`occurred_at` >= `t20`.`reached_at`
                ) AS `t21`
                GROUP BY
                  1
              ) AS `t23`
                ON `t16`.`unit_id` = `t23`.`unit_id`
            ) AS `t24`
            WHERE
              `t24`.`occurred_at` >= `t24`.`reached_at`
          ) AS `t25`
          GROUP BY
            1
        ) AS `t26`
      ) AS `t28`
        ON `t9`.`unit_id` = `t28`.`unit_id`
    ) AS `t29`
  ) AS `t30`
  WHERE
    TIMESTAMP_ADD(`t30`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t31`
GROUP BY
  1,
  2;

-- items
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t18`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t18`.`y`) AS `sum_y`,
  SUM(`t18`.`y` * `t18`.`y`) AS `sum_yy`,
  SUM(`t18`.`d`) AS `sum_d`,
  SUM(`t18`.`d` * `t18`.`d`) AS `sum_dd`,
  SUM(`t18`.`y` * `t18`.`d`) AS `sum_yd`,
  SUM(`t18`.`x`) AS `sum_x`,
  SUM(`t18`.`x` * `t18`.`x`) AS `sum_xx`,
  SUM(`t18`.`y` * `t18`.`x`) AS `sum_yx`,
  SUM(`t18`.`w`) AS `sum_w`,
  SUM(`t18`.`w` * `t18`.`w`) AS `sum_ww`,
  SUM(`t18`.`y` * `t18`.`w`) AS `sum_yw`,
  SUM(`t18`.`d` * `t18`.`x`) AS `sum_dx`,
  SUM(`t18`.`d` * `t18`.`w`) AS `sum_dw`,
  SUM(`t18`.`x` * `t18`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            CAST(COUNT(DISTINCT `t12`.`item_id`) AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'click'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '0' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2;

-- sum
WITH `t7` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t28`.`variant`,
  `t28`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t28`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t28`.`y`) AS `sum_y`,
  SUM(`t28`.`y` * `t28`.`y`) AS `sum_yy`,
  SUM(`t28`.`d`) AS `sum_d`,
  SUM(`t28`.`d` * `t28`.`d`) AS `sum_dd`,
  SUM(`t28`.`y` * `t28`.`d`) AS `sum_yd`,
  SUM(`t28`.`x`) AS `sum_x`,
  SUM(`t28`.`x` * `t28`.`x`) AS `sum_xx`,
  SUM(`t28`.`y` * `t28`.`x`) AS `sum_yx`,
  SUM(`t28`.`w`) AS `sum_w`,
  SUM(`t28`.`w` * `t28`.`w`) AS `sum_ww`,
  SUM(`t28`.`y` * `t28`.`w`) AS `sum_yw`,
  SUM(`t28`.`d` * `t28`.`x`) AS `sum_dx`,
  SUM(`t28`.`d` * `t28`.`w`) AS `sum_dw`,
  SUM(`t28`.`x` * `t28`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t27`.`unit_id`,
    `t27`.`variant`,
    `t27`.`epoch`,
    `t27`.`exposed_at`,
    COALESCE(`t27`.`u`, 0.0) AS `u`,
    LEAST(COALESCE(`t27`.`x`, 0.0), 30.0) AS `x`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(1 AS FLOAT64) AS `w`,
    LEAST(COALESCE(`t27`.`u`, 0.0), 30.0) AS `y`
  FROM (
    SELECT
      `t26`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t25`.`unit_id`,
        `t25`.`variant`,
        `t25`.`epoch`,
        `t25`.`exposed_at`,
        `t25`.`u`,
        `t21`.`unit_id` AS `unit_id_right`,
        `t21`.`x`
      FROM (
        SELECT
          `t23`.*
          EXCEPT (`unit_id_right`)
        FROM (
          SELECT
            `t11`.`unit_id`,
            `t11`.`variant`,
            `t11`.`epoch`,
            `t11`.`exposed_at`,
            `t22`.`unit_id` AS `unit_id_right`,
            `t22`.`u`
          FROM (
            SELECT
              `t8`.`unit_id`,
              `t8`.`variant`,
              `t8`.`epoch`,
              `t8`.`exposed_at`
            FROM `t7` AS `t8`
            WHERE
              `t8`.`place` = 0
          ) AS `t11`
          LEFT OUTER JOIN (
            SELECT
              `t18`.`unit_id`,
              `t18`.`total` AS `u`
            FROM (
              SELECT
                `t16`.`unit_id`,
                SUM(`t16`.`value`) AS `total`
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t6`.`unit_id`,
                    `t6`.`name`,
                    `t6`.`occurred_at`,
                    `t6`.`value`,
                    `t6`.`item_id`,
                    `t6`.`properties`,
                    `t6`.`recommendation_id`,
                    `t6`.`source`,
                    `t12`.`exposed_at`
                  FROM (
                    SELECT
                      *
                    FROM `events` AS `t1`
                    WHERE
                      `t1`.`source` = 'live' AND `t1`.`name` = 'buy'
                  ) AS `t6`
                  INNER JOIN (
                    SELECT
                      `t8`.`unit_id`,
                      `t8`.`exposed_at`
                    FROM `t7` AS `t8`
                    WHERE
                      `t8`.`place` = 0
                  ) AS `t12`
                    ON `t6`.`unit_id` = `t12`.`unit_id`
                ) AS `t14`
                WHERE
                  `t14`.`occurred_at` >= TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '0' MICROSECOND)
                  AND `t14`.`occurred_at` < TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
              ) AS `t16`
              GROUP BY
                1
            ) AS `t18`
          ) AS `t22`
            ON `t11`.`unit_id` = `t22`.`unit_id`
        ) AS `t23`
      ) AS `t25`
      LEFT OUTER JOIN (
        SELECT
          `t17`.`unit_id`,
          `t17`.`total` AS `x`
        FROM (
          SELECT
            `t15`.`unit_id`,
            SUM(`t15`.`value`) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t5`.`unit_id`,
                `t5`.`name`,
                `t5`.`occurred_at`,
                `t5`.`value`,
                `t5`.`item_id`,
                `t5`.`properties`,
                `t5`.`recommendation_id`,
                `t5`.`source`,
                `t12`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`name` = 'buy'
              ) AS `t5`
              INNER JOIN (
                SELECT
                  `t8`.`unit_id`,
                  `t8`.`exposed_at`
                FROM `t7` AS `t8`
                WHERE
                  `t8`.`place` = 0
              ) AS `t12`
                ON `t5`.`unit_id` = `t12`.`unit_id`
            ) AS `t13`
            WHERE
              `t13`.`occurred_at` >= TIMESTAMP_SUB(`t13`.`exposed_at`, INTERVAL '900000000' MICROSECOND)
              AND `t13`.`occurred_at` < TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '0' MICROSECOND)
          ) AS `t15`
          GROUP BY
            1
        ) AS `t17`
      ) AS `t21`
        ON `t25`.`unit_id` = `t21`.`unit_id`
    ) AS `t26`
  ) AS `t27`
  WHERE
    TIMESTAMP_ADD(`t27`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t28`
GROUP BY
  1,
  2;

-- max
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t18`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t18`.`y`) AS `sum_y`,
  SUM(`t18`.`y` * `t18`.`y`) AS `sum_yy`,
  SUM(`t18`.`d`) AS `sum_d`,
  SUM(`t18`.`d` * `t18`.`d`) AS `sum_dd`,
  SUM(`t18`.`y` * `t18`.`d`) AS `sum_yd`,
  SUM(`t18`.`x`) AS `sum_x`,
  SUM(`t18`.`x` * `t18`.`x`) AS `sum_xx`,
  SUM(`t18`.`y` * `t18`.`x`) AS `sum_yx`,
  SUM(`t18`.`w`) AS `sum_w`,
  SUM(`t18`.`w` * `t18`.`w`) AS `sum_ww`,
  SUM(`t18`.`y` * `t18`.`w`) AS `sum_yw`,
  SUM(`t18`.`d` * `t18`.`x`) AS `sum_dx`,
  SUM(`t18`.`d` * `t18`.`w`) AS `sum_dw`,
  SUM(`t18`.`x` * `t18`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            MAX(`t12`.`value`) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'buy'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '0' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2;

-- ratio
WITH `t11` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t1`.`unit_id`,
      `t1`.`variant`,
      `t1`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t1`
  ) AS `t2`
)
SELECT
  `t48`.`variant`,
  `t48`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t48`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t48`.`y`) AS `sum_y`,
  SUM(`t48`.`y` * `t48`.`y`) AS `sum_yy`,
  SUM(`t48`.`d`) AS `sum_d`,
  SUM(`t48`.`d` * `t48`.`d`) AS `sum_dd`,
  SUM(`t48`.`y` * `t48`.`d`) AS `sum_yd`,
  SUM(`t48`.`x`) AS `sum_x`,
  SUM(`t48`.`x` * `t48`.`x`) AS `sum_xx`,
  SUM(`t48`.`y` * `t48`.`x`) AS `sum_yx`,
  SUM(`t48`.`w`) AS `sum_w`,
  SUM(`t48`.`w` * `t48`.`w`) AS `sum_ww`,
  SUM(`t48`.`y` * `t48`.`w`) AS `sum_yw`,
  SUM(`t48`.`d` * `t48`.`x`) AS `sum_dx`,
  SUM(`t48`.`d` * `t48`.`w`) AS `sum_dw`,
  SUM(`t48`.`x` * `t48`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t47`.`unit_id`,
    `t47`.`variant`,
    `t47`.`epoch`,
    `t47`.`exposed_at`,
    COALESCE(`t47`.`u`, 0.0) AS `u`,
    COALESCE(`t47`.`d`, 0.0) AS `d`,
    COALESCE(`t47`.`x`, 0.0) AS `x`,
    COALESCE(`t47`.`w`, 0.0) AS `w`,
    COALESCE(`t47`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t46`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t45`.`unit_id`,
        `t45`.`variant`,
        `t45`.`epoch`,
        `t45`.`exposed_at`,
        `t45`.`u`,
        `t45`.`d`,
        `t45`.`x`,
        `t33`.`unit_id` AS `unit_id_right`,
        `t33`.`w`
      FROM (
        SELECT
          `t43`.*
          EXCEPT (`unit_id_right`)
        FROM (
          SELECT
            `t42`.`unit_id`,
            `t42`.`variant`,
            `t42`.`epoch`,
            `t42`.`exposed_at`,
            `t42`.`u`,
            `t42`.`d`,
            `t34`.`unit_id` AS `unit_id_right`,
            `t34`.`x`
          FROM (
            SELECT
              `t40`.*
              EXCEPT (`unit_id_right`)
            FROM (
              SELECT
                `t39`.`unit_id`,
                `t39`.`variant`,
                `t39`.`epoch`,
                `t39`.`exposed_at`,
                `t39`.`u`,
                `t35`.`unit_id` AS `unit_id_right`,
                `t35`.`d`
              FROM (
                SELECT
                  `t37`.*
                  EXCEPT (`unit_id_right`)
                FROM (
                  SELECT
                    `t16`.`unit_id`,
                    `t16`.`variant`,
                    `t16`.`epoch`,
                    `t16`.`exposed_at`,
                    `t36`.`unit_id` AS `unit_id_right`,
                    `t36`.`u`
                  FROM (
                    SELECT
                      `t12`.`unit_id`,
                      `t12`.`variant`,
                      `t12`.`epoch`,
                      `t12`.`exposed_at`
                    FROM `t11` AS `t12`
                    WHERE
                      `t12`.`place` = 0
                  ) AS `t16`
                  LEFT OUTER JOIN (
                    SELECT
                      `t28`.`unit_id`,
                      `t28`.`total` AS `u`
                    FROM (
                      SELECT
                        `t24`.`unit_id`,
                        CAST(COUNT(*) AS FLOAT64) AS `total`
                      FROM (
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t10`.`unit_id`,
                            `t10`.`name`,
                            `t10`.`occurred_at`,
                            `t10`.`value`,
                            `t10`.`item_id`,
                            `t10`.`properties`,
                            `t10`.`recommendation_id`,
                            `t10`.`source`,
                            `t15`.`exposed_at`
                          FROM (
                            SELECT
                              *
                            FROM `events` AS `t0`
                            WHERE
                              `t0`.`source` = 'live' AND `t0`.`name` = 'click'
                          ) AS `t10`
                          INNER JOIN (
                            SELECT
                              `t12`.`unit_id`,
                              `t12`.`exposed_at`
                            FROM `t11` AS `t12`
                            WHERE
                              `t12`.`place` = 0
                          ) AS `t15`
                            ON `t10`.`unit_id` = `t15`.`unit_id`
                        ) AS `t20`
                        WHERE
                          `t20`.`occurred_at` >= TIMESTAMP_ADD(`t20`.`exposed_at`, INTERVAL '0' MICROSECOND)
                          AND `t20`.`occurred_at` < TIMESTAMP_ADD(`t20`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
                      ) AS `t24`
                      GROUP BY
                        1
                    ) AS `t28`
                  ) AS `t36`
                    ON `t16`.`unit_id` = `t36`.`unit_id`
                ) AS `t37`
              ) AS `t39`
              LEFT OUTER JOIN (
                SELECT
                  `t27`.`unit_id`,
                  `t27`.`total` AS `d`
                FROM (
                  SELECT
                    `t23`.`unit_id`,
                    CAST(COUNT(*) AS FLOAT64) AS `total`
                  FROM (
                    SELECT
                      *
                    FROM (
                      SELECT
                        `t9`.`unit_id`,
                        `t9`.`name`,
                        `t9`.`occurred_at`,
                        `t9`.`value`,
                        `t9`.`item_id`,
                        `t9`.`properties`,
                        `t9`.`recommendation_id`,
                        `t9`.`source`,
                        `t15`.`exposed_at`
                      FROM (
                        SELECT
                          *
                        FROM `events` AS `t0`
                        WHERE
                          `t0`.`source` = 'live' AND `t0`.`name` = 'view'
                      ) AS `t9`
                      INNER JOIN (
                        SELECT
                          `t12`.`unit_id`,
                          `t12`.`exposed_at`
                        FROM `t11` AS `t12`
                        WHERE
                          `t12`.`place` = 0
                      ) AS `t15`
                        ON `t9`.`unit_id` = `t15`.`unit_id`
                    ) AS `t19`
                    WHERE
                      `t19`.`occurred_at` >= TIMESTAMP_ADD(`t19`.`exposed_at`, INTERVAL '0' MICROSECOND)
                      AND `t19`.`occurred_at` < TIMESTAMP_ADD(`t19`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
                  ) AS `t23`
                  GROUP BY
                    1
                ) AS `t27`
              ) AS `t35`
                ON `t39`.`unit_id` = `t35`.`unit_id`
            ) AS `t40`
          ) AS `t42`
          LEFT OUTER JOIN (
            SELECT
              `t26`.`unit_id`,
              `t26`.`total` AS `x`
            FROM (
              SELECT
                `t22`.`unit_id`,
                CAST(COUNT(*) AS FLOAT64) AS `total`
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t8`.`unit_id`,
                    `t8`.`name`,
                    `t8`.`occurred_at`,
                    `t8`.`value`,
                    `t8`.`item_id`,
                    `t8`.`properties`,
                    `t8`.`recommendation_id`,
                    `t8`.`source`,
                    `t15`.`exposed_at`
                  FROM (
                    SELECT
                      *
                    FROM `events` AS `t0`
                    WHERE
                      `t0`.`name` = 'click'
                  ) AS `t8`
                  INNER JOIN (
                    SELECT
                      `t12`.`unit_id`,
                      `t12`.`exposed_at`
                    FROM `t11` AS `t12`
                    WHERE
                      `t12`.`place` = 0
                  ) AS `t15`
                    ON `t8`.`unit_id` = `t15`.`unit_id`
                ) AS `t18`
                WHERE
                  `t18`.`occurred_at` >= TIMESTAMP_SUB(`t18`.`exposed_at`, INTERVAL '900000000' MICROSECOND)
                  AND `t18`.`occurred_at` < TIMESTAMP_ADD(`t18`.`exposed_at`, INTERVAL '0' MICROSECOND)
              ) AS `t22`
              GROUP BY
                1
            ) AS `t26`
          ) AS `t34`
            ON `t42`.`unit_id` = `t34`.`unit_id`
        ) AS `t43`
      ) AS `t45`
      LEFT OUTER JOIN (
        SELECT
          `t25`.`unit_id`,
          `t25`.`total` AS `w`
        FROM (
          SELECT
            `t21`.`unit_id`,
            CAST(COUNT(*) AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t7`.`unit_id`,
                `t7`.`name`,
                `t7`.`occurred_at`,
                `t7`.`value`,
                `t7`.`item_id`,
                `t7`.`properties`,
                `t7`.`recommendation_id`,
                `t7`.`source`,
                `t15`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t0`
                WHERE
                  `t0`.`name` = 'view'
              ) AS `t7`
              INNER JOIN (
                SELECT
                  `t12`.`unit_id`,
                  `t12`.`exposed_at`
                FROM `t11` AS `t12`
                WHERE
                  `t12`.`place` = 0
              ) AS `t15`
                ON `t7`.`unit_id` = `t15`.`unit_id`
            ) AS `t17`
            WHERE
              `t17`.`occurred_at` >= TIMESTAMP_SUB(`t17`.`exposed_at`, INTERVAL '900000000' MICROSECOND)
              AND `t17`.`occurred_at` < TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '0' MICROSECOND)
          ) AS `t21`
          GROUP BY
            1
        ) AS `t25`
      ) AS `t33`
        ON `t45`.`unit_id` = `t33`.`unit_id`
    ) AS `t46`
  ) AS `t47`
  WHERE
    TIMESTAMP_ADD(`t47`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t48`
GROUP BY
  1,
  2;

-- a slate
WITH `t7` AS (
  SELECT
    `t4`.`unit_id`,
    `t4`.`variant`,
    `t4`.`exposed_at`,
    `t4`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t4`.`unit_id` ORDER BY `t4`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t1`.`unit_id`,
      `t1`.`variant`,
      `t1`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t1`
  ) AS `t4`
)
SELECT
  `t28`.`variant`,
  `t28`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t28`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t28`.`y`) AS `sum_y`,
  SUM(`t28`.`y` * `t28`.`y`) AS `sum_yy`,
  SUM(`t28`.`d`) AS `sum_d`,
  SUM(`t28`.`d` * `t28`.`d`) AS `sum_dd`,
  SUM(`t28`.`y` * `t28`.`d`) AS `sum_yd`,
  SUM(`t28`.`x`) AS `sum_x`,
  SUM(`t28`.`x` * `t28`.`x`) AS `sum_xx`,
  SUM(`t28`.`y` * `t28`.`x`) AS `sum_yx`,
  SUM(`t28`.`w`) AS `sum_w`,
  SUM(`t28`.`w` * `t28`.`w`) AS `sum_ww`,
  SUM(`t28`.`y` * `t28`.`w`) AS `sum_yw`,
  SUM(`t28`.`d` * `t28`.`x`) AS `sum_dx`,
  SUM(`t28`.`d` * `t28`.`w`) AS `sum_dw`,
  SUM(`t28`.`x` * `t28`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t27`.`unit_id`,
    `t27`.`variant`,
    `t27`.`epoch`,
    `t27`.`exposed_at`,
    COALESCE(`t27`.`u`, 0.0) AS `u`,
    COALESCE(`t27`.`d`, 0.0) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t27`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t26`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t25`.`unit_id`,
        `t25`.`variant`,
        `t25`.`epoch`,
        `t25`.`exposed_at`,
        `t25`.`u`,
        `t21`.`unit_id` AS `unit_id_right`,
        `t21`.`d`
      FROM (
        SELECT
          `t23`.*
          EXCEPT (`unit_id_right`)
        FROM (
          SELECT
            `t11`.`unit_id`,
            `t11`.`variant`,
            `t11`.`epoch`,
            `t11`.`exposed_at`,
            `t22`.`unit_id` AS `unit_id_right`,
            `t22`.`u`
          FROM (
            SELECT
              `t8`.`unit_id`,
              `t8`.`variant`,
              `t8`.`epoch`,
              `t8`.`exposed_at`
            FROM `t7` AS `t8`
            WHERE
              `t8`.`place` = 0
          ) AS `t11`
          LEFT OUTER JOIN (
            SELECT
              `t18`.`unit_id`,
              `t18`.`total` AS `u`
            FROM (
              SELECT
                `t16`.`unit_id`,
                CAST(COUNT(*) AS FLOAT64) AS `total`
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    `t6`.`unit_id`,
                    `t6`.`name`,
                    `t6`.`occurred_at`,
                    `t6`.`value`,
                    `t6`.`item_id`,
                    `t6`.`properties`,
                    `t6`.`recommendation_id`,
                    `t6`.`source`,
                    `t12`.`exposed_at`
                  FROM (
                    SELECT
                      *
                    FROM `events` AS `t2`
                    WHERE
                      `t2`.`source` = 'live' AND `t2`.`name` = 'click'
                  ) AS `t6`
                  INNER JOIN (
                    SELECT
                      `t8`.`unit_id`,
                      `t8`.`exposed_at`
                    FROM `t7` AS `t8`
                    WHERE
                      `t8`.`place` = 0
                  ) AS `t12`
                    ON `t6`.`unit_id` = `t12`.`unit_id`
                ) AS `t14`
                WHERE
                  `t14`.`occurred_at` >= TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '0' MICROSECOND)
                  AND `t14`.`occurred_at` < TIMESTAMP_ADD(`t14`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
              ) AS `t16`
              GROUP BY
                1
            ) AS `t18`
          ) AS `t22`
            ON `t11`.`unit_id` = `t22`.`unit_id`
        ) AS `t23`
      ) AS `t25`
      LEFT OUTER JOIN (
        SELECT
          `t17`.`unit_id`,
          `t17`.`total` AS `d`
        FROM (
          SELECT
            `t15`.`unit_id`,
            CAST(COUNT(*) AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t3`.`recommendation_id`,
                `t3`.`unit_id`,
                `t3`.`served_at`,
                `t12`.`exposed_at`
              FROM `slates` AS `t3`
              INNER JOIN (
                SELECT
                  `t8`.`unit_id`,
                  `t8`.`exposed_at`
                FROM `t7` AS `t8`
                WHERE
                  `t8`.`place` = 0
              ) AS `t12`
                ON `t3`.`unit_id` = `t12`.`unit_id`
            ) AS `t13`
            WHERE
              `t13`.`served_at` >= TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '0' MICROSECOND)
              AND `t13`.`served_at` < TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
          ) AS `t15`
          GROUP BY
            1
        ) AS `t17`
      ) AS `t21`
        ON `t25`.`unit_id` = `t21`.`unit_id`
    ) AS `t26`
  ) AS `t27`
  WHERE
    TIMESTAMP_ADD(`t27`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t28`
GROUP BY
  1,
  2;

-- attributed
WITH `t7` AS (
  SELECT
    `t4`.`unit_id`,
    `t4`.`variant`,
    `t4`.`exposed_at`,
    `t4`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t4`.`unit_id` ORDER BY `t4`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t4`
)
SELECT
  `t22`.`variant`,
  `t22`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t22`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t22`.`y`) AS `sum_y`,
  SUM(`t22`.`y` * `t22`.`y`) AS `sum_yy`,
  SUM(`t22`.`d`) AS `sum_d`,
  SUM(`t22`.`d` * `t22`.`d`) AS `sum_dd`,
  SUM(`t22`.`y` * `t22`.`d`) AS `sum_yd`,
  SUM(`t22`.`x`) AS `sum_x`,
  SUM(`t22`.`x` * `t22`.`x`) AS `sum_xx`,
  SUM(`t22`.`y` * `t22`.`x`) AS `sum_yx`,
  SUM(`t22`.`w`) AS `sum_w`,
  SUM(`t22`.`w` * `t22`.`w`) AS `sum_ww`,
  SUM(`t22`.`y` * `t22`.`w`) AS `sum_yw`,
  SUM(`t22`.`d` * `t22`.`x`) AS `sum_dx`,
  SUM(`t22`.`d` * `t22`.`w`) AS `sum_dw`,
  SUM(`t22`.`x` * `t22`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t21`.`unit_id`,
    `t21`.`variant`,
    `t21`.`epoch`,
    `t21`.`exposed_at`,
    COALESCE(`t21`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t21`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t20`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t11`.`unit_id`,
        `t11`.`variant`,
        `t11`.`epoch`,
        `t11`.`exposed_at`,
        `t19`.`unit_id` AS `unit_id_right`,
        `t19`.`u`
      FROM (
        SELECT
          `t8`.`unit_id`,
          `t8`.`variant`,
          `t8`.`epoch`,
          `t8`.`exposed_at`
        FROM `t7` AS `t8`
        WHERE
          `t8`.`place` = 0
      ) AS `t11`
      LEFT OUTER JOIN (
        SELECT
          `t17`.`unit_id`,
          `t17`.`total` AS `u`
        FROM (
          SELECT
            `t16`.`unit_id`,
            CAST(COUNT(*) AS FLOAT64) AS `total`
          FROM (
            SELECT
              `t15`.`unit_id`,
              `t15`.`name`,
              `t15`.`occurred_at`,
              `t15`.`value`,
              `t15`.`item_id`,
              `t15`.`properties`,
              `t15`.`recommendation_id`,
              `t15`.`source`,
              `t15`.`exposed_at`
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`name`,
                  `t6`.`occurred_at`,
                  `t6`.`value`,
                  `t6`.`item_id`,
                  `t6`.`properties`,
                  `t6`.`recommendation_id`,
                  `t6`.`source`,
                  `t12`.`exposed_at`
                FROM (
                  SELECT
                    *
                  FROM `events` AS `t2`
                  WHERE
                    `t2`.`source` = 'live' AND `t2`.`name` = 'click'
                ) AS `t6`
                INNER JOIN (
                  SELECT
                    `t8`.`unit_id`,
                    `t8`.`exposed_at`
                  FROM `t7` AS `t8`
                  WHERE
                    `t8`.`place` = 0
                ) AS `t12`
                  ON `t6`.`unit_id` = `t12`.`unit_id`
              ) AS `t13`
              WHERE
                `t13`.`occurred_at` >= TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '0' MICROSECOND)
                AND `t13`.`occurred_at` < TIMESTAMP_ADD(`t13`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
            ) AS `t15`
            WHERE
              EXISTS(
                SELECT
                  1
                FROM `slates` AS `t3`
                WHERE
                  `t15`.`recommendation_id` = `t3`.`recommendation_id`
              )
          ) AS `t16`
          GROUP BY
            1
        ) AS `t17`
      ) AS `t19`
        ON `t11`.`unit_id` = `t19`.`unit_id`
    ) AS `t20`
  ) AS `t21`
  WHERE
    TIMESTAMP_ADD(`t21`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t22`
GROUP BY
  1,
  2;

-- parts of a second
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  COUNT(*) AS `n`,
  SUM(CASE WHEN `t18`.`y` <> 0 THEN 1 ELSE 0 END) AS `nonzero`,
  SUM(`t18`.`y`) AS `sum_y`,
  SUM(`t18`.`y` * `t18`.`y`) AS `sum_yy`,
  SUM(`t18`.`d`) AS `sum_d`,
  SUM(`t18`.`d` * `t18`.`d`) AS `sum_dd`,
  SUM(`t18`.`y` * `t18`.`d`) AS `sum_yd`,
  SUM(`t18`.`x`) AS `sum_x`,
  SUM(`t18`.`x` * `t18`.`x`) AS `sum_xx`,
  SUM(`t18`.`y` * `t18`.`x`) AS `sum_yx`,
  SUM(`t18`.`w`) AS `sum_w`,
  SUM(`t18`.`w` * `t18`.`w`) AS `sum_ww`,
  SUM(`t18`.`y` * `t18`.`w`) AS `sum_yw`,
  SUM(`t18`.`d` * `t18`.`x`) AS `sum_dx`,
  SUM(`t18`.`d` * `t18`.`w`) AS `sum_dw`,
  SUM(`t18`.`x` * `t18`.`w`) AS `sum_xw`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            CAST(COUNT(*) AS FLOAT64) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'view'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '500000' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '900750000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '900750000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2;

-- quantile
WITH `t5` AS (
  SELECT
    `t2`.`unit_id`,
    `t2`.`variant`,
    `t2`.`exposed_at`,
    `t2`.`epoch`,
    ROW_NUMBER() OVER (PARTITION BY `t2`.`unit_id` ORDER BY `t2`.`exposed_at` ASC) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`unit_id`,
      `t0`.`variant`,
      `t0`.`exposed_at`,
      1 AS `epoch`
    FROM `exposures` AS `t0`
  ) AS `t2`
)
SELECT
  `t18`.`variant`,
  `t18`.`epoch`,
  `t18`.`bucket`,
  COUNT(*) AS `units`
FROM (
  SELECT
    `t17`.`unit_id`,
    `t17`.`variant`,
    `t17`.`epoch`,
    `t17`.`exposed_at`,
    COALESCE(`t17`.`u`, 0.0) AS `u`,
    CAST(1 AS FLOAT64) AS `d`,
    CAST(0 AS FLOAT64) AS `x`,
    CAST(1 AS FLOAT64) AS `w`,
    COALESCE(`t17`.`u`, 0.0) AS `y`,
    CASE
      WHEN ABS(COALESCE(`t17`.`u`, 0.0)) <= 1e-09
      THEN 0
      ELSE CAST(TRUNC(
        SIGN(COALESCE(`t17`.`u`, 0.0)) * (
          CAST(CEIL(
            ieee_divide(LN(GREATEST(ABS(COALESCE(`t17`.`u`, 0.0)), 1e-09)), 0.004987541511038968)
          ) AS INT64) + 100000
        )
      ) AS INT64)
    END AS `bucket`
  FROM (
    SELECT
      `t16`.*
      EXCEPT (`unit_id_right`)
    FROM (
      SELECT
        `t9`.`unit_id`,
        `t9`.`variant`,
        `t9`.`epoch`,
        `t9`.`exposed_at`,
        `t15`.`unit_id` AS `unit_id_right`,
        `t15`.`u`
      FROM (
        SELECT
          `t6`.`unit_id`,
          `t6`.`variant`,
          `t6`.`epoch`,
          `t6`.`exposed_at`
        FROM `t5` AS `t6`
        WHERE
          `t6`.`place` = 0
      ) AS `t9`
      LEFT OUTER JOIN (
        SELECT
          `t13`.`unit_id`,
          `t13`.`total` AS `u`
        FROM (
          SELECT
            `t12`.`unit_id`,
            SUM(`t12`.`value`) AS `total`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`unit_id`,
                `t4`.`name`,
                `t4`.`occurred_at`,
                `t4`.`value`,
                `t4`.`item_id`,
                `t4`.`properties`,
                `t4`.`recommendation_id`,
                `t4`.`source`,
                `t10`.`exposed_at`
              FROM (
                SELECT
                  *
                FROM `events` AS `t1`
                WHERE
                  `t1`.`source` = 'live' AND `t1`.`name` = 'buy'
              ) AS `t4`
              INNER JOIN (
                SELECT
                  `t6`.`unit_id`,
                  `t6`.`exposed_at`
                FROM `t5` AS `t6`
                WHERE
                  `t6`.`place` = 0
              ) AS `t10`
                ON `t4`.`unit_id` = `t10`.`unit_id`
            ) AS `t11`
            WHERE
              `t11`.`occurred_at` >= TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '0' MICROSECOND)
              AND `t11`.`occurred_at` < TIMESTAMP_ADD(`t11`.`exposed_at`, INTERVAL '1800000000' MICROSECOND)
          ) AS `t12`
          GROUP BY
            1
        ) AS `t13`
      ) AS `t15`
        ON `t9`.`unit_id` = `t15`.`unit_id`
    ) AS `t16`
  ) AS `t17`
  WHERE
    TIMESTAMP_ADD(`t17`.`exposed_at`, INTERVAL '1800000000' MICROSECOND) <= TIMESTAMP('2026-01-01T02:00:00+00:00')
) AS `t18`
GROUP BY
  1,
  2,
  3;

-- filter: a text
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['page']) = 'home', FALSE)
) AS `t1`;

-- filter: a text of a digit
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['page']) = '1', FALSE)
) AS `t1`;

-- filter: a number
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.float64(PARSE_JSON(`t0`.`properties`)['page']) = 1, FALSE)
) AS `t1`;

-- filter: a flag
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.bool(PARSE_JSON(`t0`.`properties`)['page']) = TRUE, FALSE)
) AS `t1`;

-- filter: another text
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    NOT (
      COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['page']) = 'home', FALSE)
    )
) AS `t1`;

-- filter: another number
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    NOT (
      COALESCE(safe.float64(PARSE_JSON(`t0`.`properties`)['page']) = 2.5, FALSE)
    )
) AS `t1`;

-- filter: one of several types
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['page']) = 'home', FALSE)
    OR COALESCE(safe.float64(PARSE_JSON(`t0`.`properties`)['page']) = 2.5, FALSE)
    OR COALESCE(safe.bool(PARSE_JSON(`t0`.`properties`)['page']) = FALSE, FALSE)
) AS `t1`;

-- filter: a name that is there
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    PARSE_JSON(`t0`.`properties`)['page'] IS NOT NULL
) AS `t1`;

-- filter: a missing name
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    NOT (
      PARSE_JSON(`t0`.`properties`)['page'] IS NOT NULL
    )
) AS `t1`;

-- filter: above
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.float64(PARSE_JSON(`t0`.`properties`)['page']) > 1.0, FALSE)
) AS `t1`;

-- filter: at most
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.float64(PARSE_JSON(`t0`.`properties`)['page']) <= 2.5, FALSE)
) AS `t1`;

-- filter: a value
SELECT
  `t0`.`unit_id`
FROM `events` AS `t0`
WHERE
  COALESCE(`t0`.`value` >= 5.0, FALSE);

-- filter: a value that is there
SELECT
  `t0`.`unit_id`
FROM `events` AS `t0`
WHERE
  `t0`.`value` IS NOT NULL;

-- filter: an item
SELECT
  `t0`.`unit_id`
FROM `events` AS `t0`
WHERE
  COALESCE(`t0`.`item_id` = 'i3', FALSE);

-- filter: no item
SELECT
  `t0`.`unit_id`
FROM `events` AS `t0`
WHERE
  NOT (
    `t0`.`item_id` IS NOT NULL
  );

-- filter: a name with a dot
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['a.b']) = 'list', FALSE)
) AS `t1`;

-- filter: a name with a mark
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['q"x']) = 'it\'s', FALSE)
) AS `t1`;

-- filter: a name with an apostrophe
SELECT
  `t1`.`unit_id`
FROM (
  SELECT
    *
  FROM `events` AS `t0`
  WHERE
    COALESCE(safe.string(PARSE_JSON(`t0`.`properties`)['it\'s']) = 'it\'s', FALSE)
) AS `t1`;
