//! `help.*`: the configuration, for anybody.

use super::{Call, RpcError};
use crate::world::now;
use grammers_tl_types::{enums, functions as f, types};
use std::net::SocketAddr;

/// `help.getConfig`: where the data centres are. The options are flagged `static`, so that clients keep to the port.
pub fn config(call: &mut Call, _: f::help::GetConfig) -> Result<enums::Config, RpcError> {
    let config = types::Config {
        default_p2p_contacts: true,
        preload_featured_stickers: false,
        revoke_pm_inbox: true,
        blocked_mode: false,
        force_try_ipv6: false,
        date: now() as i32,
        expires: now() as i32 + 3600,
        test_mode: false,
        this_dc: call.dc(),
        dc_options: call.world.live.dcs.iter().map(|(id, at)| dc_option(*id, *at)).collect(),
        dc_txt_domain_name: "simulator.invalid".into(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 100,
        online_update_period_ms: 210_000,
        offline_blur_timeout_ms: 5000,
        offline_idle_timeout_ms: 30_000,
        online_cloud_timeout_ms: 300_000,
        notify_cloud_delay_ms: 30_000,
        notify_default_delay_ms: 1500,
        push_chat_period_ms: 60_000,
        push_chat_limit: 2,
        edit_time_limit: 172_800,
        revoke_time_limit: i32::MAX,
        revoke_pm_time_limit: i32::MAX,
        rating_e_decay: 2_419_200,
        stickers_recent_limit: 200,
        channels_read_media_period: 604_800,
        tmp_sessions: None,
        call_receive_timeout_ms: 20_000,
        call_ring_timeout_ms: 90_000,
        call_connect_timeout_ms: 30_000,
        call_packet_timeout_ms: 10_000,
        me_url_prefix: "https://t.me/".into(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: 4096,
        webfile_dc_id: 4,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    };
    Ok(config.into())
}

fn dc_option(id: i32, at: SocketAddr) -> enums::DcOption {
    types::DcOption {
        ipv6: at.is_ipv6(),
        media_only: false,
        tcpo_only: false,
        cdn: false,
        r#static: true,
        this_port_only: false,
        id,
        ip_address: at.ip().to_string(),
        port: i32::from(at.port()),
        secret: None,
    }
    .into()
}

/// `help.getNearestDc`: the one that was asked.
pub fn nearest_dc(call: &mut Call, _: f::help::GetNearestDc) -> Result<enums::NearestDc, RpcError> {
    let dc = call.dc();
    Ok(types::NearestDc { country: "DE".into(), this_dc: dc, nearest_dc: dc }.into())
}
