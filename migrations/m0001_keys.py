"""Step 1: a unique key for each label, and a unique message ID for each interaction type.

The constraint on an interaction's message ID keeps a replayed message harmless when two writers race. A released step
is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DEFINE_KEYS: Final = (
    "CREATE CONSTRAINT source_name IF NOT EXISTS FOR (n:Source) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT client_name IF NOT EXISTS FOR (n:Client) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT api_key_id IF NOT EXISTS FOR (n:ApiKey) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT record_id IF NOT EXISTS FOR (n:Record) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT identifier_id IF NOT EXISTS FOR (n:Identifier) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT user_id IF NOT EXISTS FOR (n:User) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT session_id IF NOT EXISTS FOR (n:Session) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT item_key IF NOT EXISTS FOR (n:Item) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT topic_key IF NOT EXISTS FOR (n:Topic) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT consent_event_id IF NOT EXISTS FOR (n:ConsentEvent) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT policy_key IF NOT EXISTS FOR (n:Policy) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT purpose_key IF NOT EXISTS FOR (n:Purpose) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT notice_id IF NOT EXISTS FOR (n:Notice) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT recipient_key IF NOT EXISTS FOR (n:Recipient) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT segment_key IF NOT EXISTS FOR (n:Segment) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT model_run_id IF NOT EXISTS FOR (n:ModelRun) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT model_row_id IF NOT EXISTS FOR (n:ModelRow) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT message_id IF NOT EXISTS FOR (n:Message) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT dead_letter_id IF NOT EXISTS FOR (n:DeadLetter) REQUIRE n.id IS UNIQUE",
)

DEFINE_MESSAGE_IDS: Final = (
    "CREATE CONSTRAINT viewed_message_id IF NOT EXISTS FOR ()-[r:VIEWED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT searched_message_id IF NOT EXISTS FOR ()-[r:SEARCHED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT clicked_message_id IF NOT EXISTS FOR ()-[r:CLICKED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT wishlisted_message_id IF NOT EXISTS FOR ()-[r:WISHLISTED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT carted_message_id IF NOT EXISTS FOR ()-[r:CARTED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT uncarted_message_id IF NOT EXISTS FOR ()-[r:UNCARTED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT checked_out_message_id IF NOT EXISTS FOR ()-[r:CHECKED_OUT]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT purchased_message_id IF NOT EXISTS FOR ()-[r:PURCHASED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT refunded_message_id IF NOT EXISTS FOR ()-[r:REFUNDED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT rated_message_id IF NOT EXISTS FOR ()-[r:RATED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT reviewed_message_id IF NOT EXISTS FOR ()-[r:REVIEWED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT shared_message_id IF NOT EXISTS FOR ()-[r:SHARED]-() REQUIRE r.message_id IS UNIQUE",
    "CREATE CONSTRAINT interacted_message_id IF NOT EXISTS FOR ()-[r:INTERACTED]-() REQUIRE r.message_id IS UNIQUE",
)

STEP: Final = Step(1, "unique keys", StepKind.DEFINITION, DEFINE_KEYS + DEFINE_MESSAGE_IDS)
