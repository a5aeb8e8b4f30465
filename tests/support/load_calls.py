"""Calls of `bakeoff load` and `bakeoff examples`, in this order: what is typed, the exit status, what must be said."""

from __future__ import annotations

FOREIGN_FILES = {
        "foreign.csv": "sku,what,more,on,from,to,of,tags,page,picture,cost,code\n1,Heat,Crime,yes,2026-01-01,2099-01-01,g,a|b,https://a.example,https://a.example/1.png,\"€9,90\",7\n",
        "foreign_log.csv": "no,what,who,when,sku,sum,more\n7,buy,u1,2026-01-01,1,\"12,90\",\n",
}  # fmt: skip

LOADS = [
    (["load", "items", "items.csv"], 2, "items.csv' has no column 'item_id', it has ['movieId', 'title']. Or name another with --item-id"),
    (["load", "items", "foreign.csv", "--item-id", "sku", "--title", "what", "--text", "more", "--available", "on", "--published-at", "from", "--expires-at", "to",
      "--group-id", "of", "--labels", "tags", "--url", "page", "--image-url", "picture", "--price", "cost", "--as-text", "code", "--new-kinds", "--replace"], 0, "1 item loaded"),
    (["load", "users", "users.csv", "--unit-id", "user_id", "--as-text", "country", "--new-kinds"], 0, "1 user loaded"),
    (["load", "events", "events.csv"], 0, "1 new event, 0 already loaded."),
    (["load", "events", "foreign_log.csv", "--event-id", "no", "--name", "what", "--unit-id", "who", "--occurred-at", "when", "--item-id", "sku", "--value", "sum",
      "--properties", "more"], 0, "1 new event, 0 already loaded."),
    (["load", "events", "foreign_log.csv", "--event", "buy", "--without-ids", "--user-id", "who", "--timestamp", "when"], 0, "Columns that are not read: no, what, sku"),
    (["load", "labelled", "labelled.csv", "--surface", "inbox", "--text", "body", "--label", "kind", "--id", "no", "--no-features", "--new", "--repeats"], 0, "1 labelled example is in"),
    (["load", "labelled", "empty.csv", "--surface", "ghost", "--new"], 2, "has no row"),
    (["load", "labelled", "blank.csv", "--surface", "ghost", "--new"], 2, "no rows|blank.csv"),
    (["load", "labelled", "unlabelled.csv", "--surface", "ghost", "--new"], 2, "1 row is rejected (unlabelled.csv.rejected.csv), the first because label"),
    (["load", "labelled", "items.csv", "--surface", "ghost", "--new"], 2, "has no column 'label'"),
    (["load", "labelled", "labelled.csv", "--surface", "inbx"], 2, "Did you mean 'inbox'? --new makes it."),
    (["examples", "list", "inbox", "--limit", "5"], 0, "greeting"),
    (["examples", "delete", "inbox"], 2, "give one of: ids, --ids, --since, --without-text and --all."),
    (["examples", "delete", "inbox", "--ids", "empty.csv", "--since", "2026-01-01"], 2, "give one of"),
    (["examples", "delete", "inbox", "--without-text", "--yes"], 0, "No example is deleted."),
    (["examples", "delete", "inbox", "--all", "--yes"], 0, "1 example deleted."),
]  # fmt: skip
