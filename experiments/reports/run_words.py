"""What gates and training runs say: the stored sentences, and the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

RUN_SENTENCES: tuple[tuple[str, str], ...] = (
    # The gate
    (
        "{metric} is better than {rival} by {low} at worst, must be more than 0",
        gettext_noop("%(metric)s may be no better than %(rival)s: lower end %(low)s, must be above 0"),
    ),
    (
        "{metric} may be as low as {worst}, must be at least {minimum} ({rival} {value} less {margin})",
        gettext_noop(
            "%(metric)s may be as low as %(worst)s, must be at least %(minimum)s (%(rival)s: "
            "%(value)s, margin %(margin)s)"
        ),
    ),
    (
        "{metric} of seed {seed} == {value}, must be at least {minimum}",
        gettext_noop("%(metric)s with seed %(seed)s is %(value)s, must be at least %(minimum)s"),
    ),
    (
        "{name} == {value}, must be at least {minimum}: it is not faster",
        gettext_noop("%(name)s is %(value)s, must be at least %(minimum)s: it is not faster"),
    ),
    # Runs
    ("nothing new since the last run", gettext_noop("No new data since the last run")),
    ("cancelled by {person}", gettext_noop("Cancelled by %(person)s")),
    ("{why}; it is taken up again", gettext_noop("%(why)s; it will be resumed")),
    ("{why}; tried {count} times", gettext_noop("%(why)s; tried %(count)s times")),
    ("its worker was asked to stop", gettext_noop("The worker was asked to stop")),
    (
        "its process died {count} times without a word, so it is not tried again.",
        gettext_noop("The training process died %(count)s times, so it is not tried again"),
    ),
    (
        "its process gave no sign of life for {seconds} s and was killed",
        gettext_noop("The training process was frozen for %(seconds)s s and was killed"),
    ),
    (
        "its process was killed by signal 9, as the kernel does when memory is full: free some, or "
        "train with smaller parameters",
        gettext_noop(
            "The training process ran out of memory: free some, or train with smaller parameters"
        ),
    ),
    (
        "its process was ended by signal {signal}",
        gettext_noop("The training process was ended by signal %(signal)s"),
    ),
    (
        "its process ended with status {status}",
        gettext_noop("The training process ended with status %(status)s"),
    ),
    ("registering", gettext_noop("Registering the version")),
    (
        "scoring the champion ({version}) on {units} units",
        gettext_noop("Scoring the champion (%(version)s) on %(units)s users"),
    ),
    ("comparing with {version}", gettext_noop("Comparing with %(version)s")),
    ("seed {seed}: {why}", gettext_noop("Seed %(seed)s: %(why)s")),
    (
        "calibration, fit {number} of {all}: {why}",
        gettext_noop("Calibration, fit %(number)s of %(all)s: %(why)s"),
    ),
    (
        "labels to check, fit {number} of {all}: {why}",
        gettext_noop("Labels to check, fit %(number)s of %(all)s: %(why)s"),
    ),
    (
        "calibration, fit {number} of {all}",
        gettext_noop("Calibration, fit %(number)s of %(all)s"),
    ),
    (
        "labels to check, fit {number} of {all}",
        gettext_noop("Labels to check, fit %(number)s of %(all)s"),
    ),
    ("fitting", gettext_noop("Fitting")),
    ("on all: {why}", gettext_noop("Final fit: %(why)s")),
    ("seed {seed}", gettext_noop("Seed %(seed)s")),
    ("on all", gettext_noop("Final fit")),
    ("the champion ({version}): {why}", gettext_noop("The champion (%(version)s): %(why)s")),
    ("the champion ({version})", gettext_noop("The champion (%(version)s)")),
    ("checking for leaks", gettext_noop("Checking for leaks")),
    (
        "optimising: {answers} answers, {tokens} tokens, {money} in money spent",
        gettext_noop("Optimising: %(answers)s answers, %(tokens)s tokens, cost %(money)s so far"),
    ),
    ("optimising", gettext_noop("Optimising the prompt")),
    (
        "{version} scores {score}, the champion {champion}; it waits for its check",
        gettext_noop("%(version)s scores %(score)s, the champion %(champion)s; it waits for its check"),
    ),
    (
        "none of {count} proposals is better than the champion: {score}",
        gettext_noop("None of %(count)s proposals is better than the champion (%(score)s)"),
    ),
    (
        "{answers} answers: {tokens} tokens, {money} in money.",
        gettext_noop("%(answers)s answers: %(tokens)s tokens, cost %(money)s"),
    ),
    (
        "the run's {what} are spent: {spent} of {limit}.",
        gettext_noop("The budget of this run is spent: %(spent)s of %(limit)s"),
    ),
    (
        "No answers with feedback are recorded: proposals are made from the data set's rows alone.",
        gettext_noop(
            "No answers with feedback are recorded: proposals are made from the data set's rows alone."
        ),
    ),
    ("judging", gettext_noop("Evaluating")),
    ("judged", gettext_noop("Evaluated")),
    ("fitted", gettext_noop("Fitted")),
    ("solved", gettext_noop("Solved")),
    ("counted likes", gettext_noop("Counted positive signals")),
    ("took the encoder's vectors", gettext_noop("Read the encoder's vectors")),
    ("compared {done} of {all} items", gettext_noop("Compared %(done)s of %(all)s items")),
    ("encoded {done} of {all} texts", gettext_noop("Encoded %(done)s of %(all)s texts")),
    ("embedding texts", gettext_noop("Embedding the catalogue's texts")),
    ("embedding {done} of {all} texts", gettext_noop("Embedded %(done)s of %(all)s texts")),
    ("encoding {all} texts", gettext_noop("Encoding %(all)s texts")),
    ("epoch {number}: loss {loss}", gettext_noop("Epoch %(number)s: loss %(loss)s")),
    ("step {number}: loss {loss}", gettext_noop("Step %(number)s: loss %(loss)s")),
    (
        "{unknown} of {all} likes are of items that are not in the catalogue: they are not learnt.",
        gettext_noop(
            "%(unknown)s of %(all)s positive signals are for items that are not in the catalogue and "
            "are skipped."
        ),
    ),
    (
        "1 example is dated in the future and is set aside.",
        gettext_noop("1 example is dated in the future and is skipped."),
    ),
    (
        "held-out examples == {count}, must be at least {minimum}. Of {all} examples with {labels} "
        "labels, the last fifth of each label is held out: load about {more} more, spread over the "
        "labels as these are.",
        gettext_noop(
            "Only %(count)s examples would be held out to evaluate the model, at least %(minimum)s are "
            "needed. Load about %(more)s more rows, spread over the labels as the %(all)s so far "
            "(%(labels)s labels)."
        ),
    ),
    (
        "Lists are judged among the items that could be shown at the time of what is held out: "
        "{hidden} of {all} had expired or were not published yet, mean over the users.",
        gettext_noop(
            "Lists are judged only by items that could be shown at the time: on average, %(hidden)s of "
            "%(all)s had expired or were not published yet."
        ),
    ),
    (
        "{repeats} likes repeat what the same user had liked before, and count once. Lists are judged "
        "by items that are new to the user alone.",
        gettext_noop(
            "%(repeats)s positive signals repeat an earlier one of the same user and count once. Lists "
            "are judged only by items that are new to the user."
        ),
    ),
    (
        "{count} examples are dated in the future and are set aside.",
        gettext_noop("%(count)s examples are dated in the future and are skipped."),
    ),
    (
        "an index over {items} items finds {share} of the {count} best.",
        gettext_noop("The index over %(items)s items finds %(share)s of the best %(count)s."),
    ),
    (
        "an index over {items} items finds {share} of the {count} best, must be at least {minimum}: "
        "all items are scored.",
        gettext_noop(
            "The index over %(items)s items finds %(share)s of the best %(count)s, must be at least "
            "%(minimum)s: all items are scored instead."
        ),
    ),
    (
        "images do not help here: {metric} is {both} with them, {text} by texts alone.",
        gettext_noop(
            "Images do not help here: %(metric)s is %(both)s with them, %(text)s with text alone."
        ),
    ),
    (
        "1 vector of items is of another width than most: it is not read.",
        gettext_noop("1 vector of an item is of another width than most. It is not read."),
    ),
    (
        "{count} vectors of items are of another width than most: they are not read.",
        gettext_noop("%(count)s vectors of items are of another width than most. They are not read."),
    ),
    ("the policy's value was not judged: {why}", gettext_noop("The policy was not evaluated: %(why)s")),
    (
        "effective sample size == {size}, must be at least {minimum}: the log holds too few answers "
        "that the other policy would give.",
        gettext_noop(
            "The effective sample size is %(size)s, must be at least %(minimum)s: too few of the "
            "served answers are ones that it would give."
        ),
    ),
    (
        "held-out decisions with all actions == {count}, must be at least {minimum}.",
        gettext_noop(
            "There are %(count)s held-out decisions with all actions, must be at least %(minimum)s."
        ),
    ),
    (
        "reward is lower than that of what was served by {difference} at least, must not be lower for "
        "certain",
        gettext_noop(
            "The reward is lower than that of what was served by at least %(difference)s, must not be "
            "lower for certain"
        ),
    ),
    ("1 decision was not judged: {why}.", gettext_noop("1 decision was not evaluated: %(why)s.")),
    (
        "{count} decisions were not judged: {why}.",
        gettext_noop("%(count)s decisions were not evaluated: %(why)s."),
    ),
    (
        "1 decision was left out: a feature is a number in them and a text in most of the newest, or "
        "the reverse.",
        gettext_noop(
            "1 decision was left out: a feature is a number in it and a text in most of the newest, or "
            "the reverse."
        ),
    ),
    (
        "{count} decisions were left out: a feature is a number in them and a text in most of the "
        "newest, or the reverse.",
        gettext_noop(
            "%(count)s decisions were left out: a feature is a number in them and a text in most of "
            "the newest, or the reverse."
        ),
    ),
    # Why images are not used
    (
        "the image has {count} bytes, must be at most {maximum} (10 MB).",
        gettext_noop("The image has %(count)s bytes, must be at most %(maximum)s (10 MB)"),
    ),
    (
        "the image is larger than {maximum} MB.",
        gettext_noop("The image is larger than %(maximum)s MB"),
    ),
    (
        "the image has {width} x {height} pixels, must be at most {maximum} in all.",
        gettext_noop("The image has %(width)s × %(height)s pixels, the limit is %(maximum)s in all"),
    ),
    (
        "the image has more than {maximum} pixels.",
        gettext_noop("The image has more than %(maximum)s pixels"),
    ),
    (
        "the file is no image: it must be one of {formats}.",
        gettext_noop("The file is not an image in one of these formats: %(formats)s"),
    ),
    ("the image is damaged.", gettext_noop("The image is damaged")),
    (
        "the image's address gave no usable answer within {seconds} s, or may not be called (see "
        "{setting}).",
        gettext_noop(
            "The image's address gave no usable answer within %(seconds)s s, or may not be called "
            "(see %(setting)s)"
        ),
    ),
    (
        "the image's address answered {status}, must be 200; redirects are not followed.",
        gettext_noop("The image's address answered %(status)s instead of 200 (no redirects)"),
    ),
    (
        "'{host}' is no public address, and {setting} does not name it.",
        gettext_noop("'%(host)s' is not a public address, and %(setting)s does not name it"),
    ),
    # Checks and slices of a run
    ("held-out items are not learnt from", gettext_noop("Held-out items are not trained on")),
    (
        "nothing learnt from is later than what is held out",
        gettext_noop("No training data is later than the held-out data"),
    ),
    (
        "a fit on shuffled likes is no better than chance",
        gettext_noop("A fit on shuffled data is no better than chance"),
    ),
    (
        "a fit on shuffled labels is no better than chance",
        gettext_noop("A fit on shuffled labels is no better than chance"),
    ),
    (
        "no text that is learnt from is judged by",
        gettext_noop("No training text is among the held-out texts"),
    ),
    (
        "no label is found much less often than by the champion",
        gettext_noop("No label is recognised much less often than by the champion"),
    ),
    (
        "no gap between groups is larger than the surface allows",
        gettext_noop("No gap between groups is larger than the surface allows"),
    ),
    (
        "the widest is {gap}, at most {maximum}",
        gettext_noop("the widest is %(gap)s, at most %(maximum)s"),
    ),
    (
        "{count} of {examined} labels look wrong, which may be why: 'Labels to check' on the run's "
        "page sends them to review.",
        gettext_noop(
            "%(count)s of %(examined)s labels look wrong, which may be why: 'Labels to check' on the "
            "run's page sends them to review."
        ),
    ),
    (
        "nothing was compared: no held-out example has '{attribute}'",
        gettext_noop("Nothing was compared: no held-out example has '%(attribute)s'"),
    ),
    (
        "no two groups of at least {count} examples",
        gettext_noop("no two groups of at least %(count)s examples"),
    ),
    (
        "gap of {metric} by '{attribute}' == {gap} ({groups}), must be at most {maximum}",
        gettext_noop(
            "The gap of %(metric)s by '%(attribute)s' is %(gap)s (%(groups)s), must be at most "
            "%(maximum)s"
        ),
    ),
    (
        "what is exported does no worse than what was judged",
        gettext_noop("The exported version, trained on all data, does no worse than the evaluated one"),
    ),
    (
        "no fall against the artifact that serves now",
        gettext_noop("No fall against the version that serves now"),
    ),
    ("ndcg {exported}, judged {judged}", gettext_noop("NDCG %(exported)s, evaluated %(judged)s")),
    (
        "not judged: {count} units with likes that neither has seen",
        gettext_noop("not evaluated: %(count)s users with signals that neither was trained on"),
    ),
    (
        "not judged: {count} examples that neither has seen",
        gettext_noop("not evaluated: %(count)s examples that neither was trained on"),
    ),
    ("nothing serves", gettext_noop("no champion to compare with")),
    ("not judged: {why}", gettext_noop("not evaluated: %(why)s")),
    ("{count} units", gettext_noop("%(count)s users")),
    ("the base model", gettext_noop("The base model")),
    ("{count} examples", gettext_noop("%(count)s examples")),
    ("hit rate {rate}, at most {maximum}", gettext_noop("hit rate %(rate)s, at most %(maximum)s")),
    ("units with at most {count} likes", gettext_noop("Users with at most %(count)s positive signals")),
    (
        "units with more than {count} likes",
        gettext_noop("Users with more than %(count)s positive signals"),
    ),
    ("without the context of the request", gettext_noop("Without the request's context")),
    ("items that units refused later", gettext_noop("Items that users hid or rated low later")),
    ("items with at most {count} likes", gettext_noop("Items with at most %(count)s positive signals")),
    (
        "items with more than {count} likes",
        gettext_noop("Items with more than %(count)s positive signals"),
    ),
    (
        "The model was trained elsewhere: it may have learnt from the rows that judge it, and its gate "
        "would not see that.",
        gettext_noop(
            "The model was trained elsewhere: it may have learnt from the rows that evaluate it, and "
            "its gate would not notice."
        ),
    ),
    (
        "labels of the model that no example has: {labels}. Load an example of each with `bakeoff load "
        "labelled`.",
        gettext_noop(
            "Labels of the model that no example has: %(labels)s. Load an example of each with "
            "`bakeoff load labelled`."
        ),
    ),
    (
        "none of the model's {count} items is in the catalogue, which begins with {items}: items go by "
        "their ids.",
        gettext_noop(
            "None of the model's %(count)s items is in the catalogue, which begins with %(items)s. "
            "Items are matched by ID."
        ),
    ),
)
