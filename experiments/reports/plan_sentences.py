"""What a plan refuses, and how the planner says it."""

from __future__ import annotations

from django.utils.translation import gettext_noop

PLAN_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "min_lift == {lift}, must be at least {limit} by interleaved lists: of closer versions they "
        "do not tell reliably which is better.",
        gettext_noop(
            "Enter at least 2%%: of closer versions interleaved lists do not tell reliably which is "
            "better"
        ),
    ),
    (
        "mode == 'interleave' on a surface of kind '{kind}', must be on one of kind 'recommend': only "
        "lists are interleaved.",
        gettext_noop("Only recommendations are interleaved: choose another surface or mode"),
    ),
    (
        "metric == '{metric}', must count events of items, more of which are better, by interleaved "
        "lists.",
        gettext_noop(
            "Interleaved lists are judged by events of items, more of which are better, such as "
            "clicks: choose another metric or mode"
        ),
    ),
    (
        "cluster_by == '', must name the attribute of the request's context that is randomised, such "
        "as 'store'.",
        gettext_noop("Name the attribute of the context that has the cluster, such as store"),
    ),
    (
        "clusters that take part == {count} of last week's {past}, must be at least {limit}: {each} "
        "for each variant.",
        gettext_noop(
            "%(count)s of the %(past)s clusters that had users last week take part: at least %(limit)s "
            "are needed, %(each)s for each variant"
        ),
    ),
    (
        "clusters == {count} with {users} users, must be at least two, some with several users.",
        gettext_noop(
            "%(count)s clusters had %(users)s users last week: name an attribute that several users "
            "share, such as store"
        ),
    ),
    (
        "mode == 'cluster' on a surface of kind '{kind}', must be on one whose requests name the "
        "cluster, and are stored: 'recommend', 'classify' or 'generate'.",
        gettext_noop(
            "Only surfaces that recommend, classify or generate are split by clusters: choose another "
            "surface or mode"
        ),
    ),
    (
        "metric == '{metric}', must be no quantile by clusters.",
        gettext_noop("Clusters are summed, and a quantile cannot be: choose another metric or mode"),
    ),
    (
        "mode == 'switchback' on a surface of kind '{kind}', must be on one whose answers are stored: "
        "clients remember flags beyond a block.",
        gettext_noop("Flags outlast a block of time: choose another surface or mode"),
    ),
    (
        "metric == '{metric}', must be no quantile and have delay_seconds == 0 by blocks.",
        gettext_noop(
            "Blocks of time are summed: choose a metric that is no quantile and counts no later days"
        ),
    ),
    (
        "block_seconds == {length}, must be at least {limit} in a switchback.",
        gettext_noop("Enter at least 5 minutes"),
    ),
    (
        "carry_over_seconds == {length}, must be at least {limit}: answers are under way when a block "
        "begins, and clocks differ.",
        gettext_noop("Enter at least 1 minute: answers are under way when a block begins"),
    ),
    (
        "carry_over_seconds == {length}, must be at most {limit}, half of block_seconds: less of a "
        "block would count than is left out.",
        gettext_noop("Enter at most half of the block: more of it must count than is left out"),
    ),
)
