//! What a bot sees: Bot API objects (`User`, `Chat`, `Message`, `ChatMember`) made from the world, and which events become
//! updates for it.

use serde_json::{Map, Value, json};

use super::{
    World,
    forums::{BotMember, BotStatus, Forum, ForumError, Post},
    message::Media,
};

impl World {
    /// `User`: a person or a bot.
    pub fn view_user(&self, id: i64) -> Value {
        if let Some(bot) = self.bots.get(id) {
            return json!({"id": id, "is_bot": true, "first_name": bot.username, "username": bot.username});
        }
        let mut view = json!({"id": id, "is_bot": false, "first_name": "Deleted Account"});
        if let Some(user) = self.user(id) {
            view["first_name"] = json!(user.first_name);
            for (name, value) in [("last_name", &user.last_name), ("username", &user.username)] {
                if let Some(value) = value {
                    view[name] = json!(value);
                }
            }
            view["language_code"] = json!("ru");
        }
        view
    }

    /// `Message` as the forum's bot gets it.
    pub fn view_post(&self, forum: &Forum, post: &Post) -> Value {
        let mut view = self.view_post_alone(forum, post);
        let answered = post.message.reply_to.and_then(|id| forum.post(id));
        // Inside a topic, Telegram shows its first service message as what every other message answers.
        let root = || post.thread.filter(|root| *root != post.message.id).and_then(|root| forum.post(root));
        if let Some(answered) = answered.or_else(root) {
            view["reply_to_message"] = self.view_post_alone(forum, answered);
        }
        view
    }

    /// A message without the one that it answers: Telegram nests them only once.
    fn view_post_alone(&self, forum: &Forum, post: &Post) -> Value {
        let message = &post.message;
        let mut view = Map::new();
        view.insert("message_id".into(), message.id.into());
        view.insert("from".into(), self.view_user(message.from));
        view.insert("chat".into(), view_chat(forum));
        view.insert("date".into(), message.date.into());
        if let Some(thread) = post.thread {
            view.insert("message_thread_id".into(), thread.into());
            view.insert("is_topic_message".into(), true.into());
        }
        if let Some(edited) = message.edited {
            view.insert("edit_date".into(), edited.into());
        }
        if let Some(album) = message.album {
            view.insert("media_group_id".into(), album.to_string().into());
        }
        if let Some(Value::Object(service)) = &message.service {
            view.extend(service.clone());
        }
        let (text, entities) = match &message.media {
            Some(media) => {
                view.extend(view_media(media));
                ("caption", "caption_entities")
            }
            None => ("text", "entities"),
        };
        if !message.text.is_empty() {
            view.insert(text.into(), message.text.clone().into());
            if !message.entities.is_empty() {
                view.insert(entities.into(), json!(message.entities));
            }
        }
        Value::Object(view)
    }

    /// `ChatMember` of a group's bot.
    pub fn view_bot_member(&self, member: &BotMember) -> Value {
        let mut view = json!({"user": self.view_user(member.id), "status": member.status});
        match member.status {
            BotStatus::Administrator => {
                view["can_be_edited"] = json!(false);
                view["is_anonymous"] = json!(false);
                for other in ["can_post_stories", "can_edit_stories", "can_delete_stories", "can_send_welcome_messages"] {
                    view[other] = json!(false);
                }
                if let Value::Object(rights) = json!(member.rights) {
                    for (right, granted) in rights {
                        view[right] = granted;
                    }
                }
            }
            BotStatus::Kicked => view["until_date"] = json!(0),
            BotStatus::Member => {}
        }
        view
    }

    /// Tells the forum's bot about a message (`message` or `edited_message`). Bots get no ordinary messages of bots, their own
    /// included, but they do get the service messages that they cause.
    ///
    /// # Errors
    /// As [`super::forums::Forums::get`].
    pub fn announce_post(&mut self, chat_id: i64, id: i32, kind: &str) -> Result<(), ForumError> {
        let forum = self.forums.get(chat_id)?;
        let Some(post) = forum.post(id) else { return Ok(()) };
        let by_bot = self.bots.get(post.message.from).is_some();
        if forum.bot.status != BotStatus::Kicked && (!by_bot || post.message.service.is_some()) {
            let (bot, view) = (forum.bot.id, self.view_post(forum, post));
            self.bots.push_update(bot, kind, &view);
        }
        self.touch();
        Ok(())
    }

    /// Tells the forum's bot that its own standing changed (`my_chat_member`); `before` is none when it was just added.
    ///
    /// # Errors
    /// As [`super::forums::Forums::get`].
    pub fn announce_bot_member(&mut self, chat_id: i64, before: Option<&BotMember>) -> Result<(), ForumError> {
        let forum = self.forums.get(chat_id)?;
        let (bot, actor) = (forum.bot.id, forum.members.first().copied().unwrap_or(forum.bot.id));
        let old = match before {
            Some(member) => self.view_bot_member(member),
            None => json!({"user": self.view_user(bot), "status": "left"}),
        };
        let view = json!({
            "chat": view_chat(forum), "from": self.view_user(actor), "date": super::now(),
            "old_chat_member": old, "new_chat_member": self.view_bot_member(&forum.bot),
        });
        self.bots.push_update(bot, "my_chat_member", &view);
        self.touch();
        Ok(())
    }
}

/// `Chat` as it stands in messages.
pub fn view_chat(forum: &Forum) -> Value {
    let mut view = json!({"id": forum.chat_id, "title": forum.title, "type": "supergroup"});
    if forum.is_forum {
        view["is_forum"] = json!(true);
    }
    view
}

/// The field of `Message` that holds an attachment, and its value.
fn view_media(media: &Media) -> Map<String, Value> {
    let mut file = json!({"file_id": format!("SIM{}", media.file), "file_unique_id": format!("U{}", media.file)});
    file["file_size"] = json!(media.size);
    let mut file_with = |extra: Value| {
        if let (Value::Object(file), Value::Object(extra)) = (&mut file, extra) {
            file.extend(extra);
        }
        file.clone()
    };
    let duration = media.duration.unwrap_or(0);
    let mut fields = Map::new();
    let value = match media.kind.as_str() {
        "photo" => json!([file_with(json!({"width": 1280, "height": 960}))]),
        "voice" => file_with(json!({"duration": duration, "mime_type": media.mime})),
        "audio" => file_with(json!({"duration": duration, "mime_type": media.mime})),
        "video" => file_with(json!({"duration": duration, "width": 1280, "height": 720, "mime_type": media.mime})),
        "animation" => file_with(json!({"duration": duration, "width": 320, "height": 240, "mime_type": media.mime})),
        "video_note" => file_with(json!({"duration": duration, "length": 240})),
        "sticker" => file_with(json!({"type": "regular", "width": 512, "height": 512, "is_animated": false, "is_video": false})),
        "contact" => json!({"phone_number": "+79990000000", "first_name": media.name.as_deref().unwrap_or("Contact")}),
        "location" => json!({"latitude": 55.75, "longitude": 37.62}),
        "poll" => json!({
            "id": media.file.to_string(), "question": media.name.as_deref().unwrap_or("?"), "options": [],
            "total_voter_count": 0, "is_closed": false, "is_anonymous": true, "type": "regular",
            "allows_multiple_answers": false, "allows_revoting": true, "members_only": false,
        }),
        _ => file_with(json!({"mime_type": media.mime})),
    };
    let field = match media.kind.as_str() {
        kind @ ("photo" | "voice" | "audio" | "video" | "animation" | "video_note" | "sticker" | "contact" | "location"
        | "poll") => kind,
        _ => "document",
    };
    fields.insert(field.into(), value);
    if let Some(name) = &media.name
        && matches!(field, "document" | "audio" | "video" | "animation")
    {
        fields[field]["file_name"] = json!(name);
    }
    if field == "animation" {
        // Telegram repeats an animation as a document, for old bots.
        fields.insert("document".into(), fields["animation"].clone());
    }
    fields
}
