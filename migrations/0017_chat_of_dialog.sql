-- The customer's chat of a dialog of the old system's, from avito_dialog_id (`ptg:<account>:<chat>`) or external_reference; null where neither tells.
create function personal_telegram_chat_of(avito_dialog_id varchar, external_reference varchar) returns bigint
language sql immutable parallel safe
return coalesce(substring(avito_dialog_id from '^ptg:[0-9]+:(-?[0-9]{1,18})$'),
                substring(trim(external_reference) from '^(-?[0-9]{1,18})$'))::bigint;
