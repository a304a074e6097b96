//! `GET /api/personal-telegram-accounts/login/{login_id}/qr.svg` and `…/qr.png`: the current code as a picture, black on white with a quiet zone of
//! four modules.

use super::{LoginId, current_url, status};
use crate::http::auth::Tenant;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use qrcode::render::svg;
use qrcode::{Color, EcLevel, QrCode};

/// Modules around the code.
const QUIET: usize = 4;
/// Pixels of a module in the PNG.
const SCALE: usize = 8;

/// Draws the current QR code as SVG.
#[utoipa::path(
    get,
    path = "/api/personal-telegram-accounts/login/{id}/qr.svg",
    operation_id = "draw_svg",
    tag = "logins",
    params(LoginId),
    responses(
        (status = 200, description = "The picture.", content_type = "image/svg+xml", body = String),
        (status = 404, description = "No such login, or it has no code now: «Сейчас у входа нет QR-кода»."),
    )
)]
pub(in crate::http) async fn svg(State(state): State<AppState>, tenant: Tenant, id: LoginId) -> Result<Response, Problem> {
    let code = code(&state, tenant, &id).await?;
    let picture = code.render::<svg::Color<'_>>().module_dimensions(1, 1).build();
    Ok(answer("image/svg+xml", picture.into_bytes()))
}

/// Draws the current QR code as PNG.
#[utoipa::path(
    get,
    path = "/api/personal-telegram-accounts/login/{id}/qr.png",
    operation_id = "draw_png",
    tag = "logins",
    params(LoginId),
    responses(
        (status = 200, description = "The picture.", content_type = "image/png", body = String),
        (status = 404, description = "No such login, or it has no code now: «Сейчас у входа нет QR-кода»."),
    )
)]
pub(in crate::http) async fn png(State(state): State<AppState>, tenant: Tenant, id: LoginId) -> Result<Response, Problem> {
    let code = code(&state, tenant, &id).await?;
    let picture = to_png(&code).map_err(|error| {
        tracing::error!(%error, "no PNG of a QR code");
        Problem::internal()
    })?;
    Ok(answer("image/png", picture))
}

async fn code(state: &AppState, tenant: Tenant, id: &LoginId) -> Result<QrCode, Problem> {
    let login = status::find(state, tenant.client, id).await?;
    let url = current_url(state, &login).ok_or_else(|| Problem::not_found("Сейчас у входа нет QR-кода"))?;
    QrCode::with_error_correction_level(url, EcLevel::M).map_err(|error| {
        tracing::error!(login = login.number.0, %error, "no QR code of this URL");
        Problem::internal()
    })
}

/// Whoever has the picture can hand over an account: nobody keeps it.
fn answer(kind: &'static str, picture: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], picture).into_response()
}

/// One bit per pixel.
fn to_png(code: &QrCode) -> Result<Vec<u8>, png::EncodingError> {
    let side = (code.width() + 2 * QUIET) * SCALE;
    let mut pixels = vec![0xff; side.div_ceil(8) * side];
    for (number, _) in code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark) {
        let (column, row) = (number % code.width() + QUIET, number / code.width() + QUIET);
        for y in row * SCALE..(row + 1) * SCALE {
            for x in column * SCALE..(column + 1) * SCALE {
                pixels[y * side.div_ceil(8) + x / 8] &= !(0x80 >> (x % 8));
            }
        }
    }
    let mut picture = Vec::new();
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_png_shows_the_modules_inside_a_white_margin() {
        let code = QrCode::with_error_correction_level("tg://login?token=abc", EcLevel::M).unwrap();
        let picture = to_png(&code).unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let side = (code.width() + 2 * QUIET) * SCALE;
        assert_eq!((info.width as usize, info.height as usize), (side, side));
        let dark = |x: isize, y: isize| {
            let at = |module: isize| usize::try_from(module + QUIET as isize).unwrap() * SCALE + SCALE / 2;
            pixels[at(y) * side + at(x)] == 0
        };
        for y in 0..code.width() {
            for x in 0..code.width() {
                assert_eq!(dark(x as isize, y as isize), code[(x, y)] == Color::Dark, "{x} {y}");
            }
        }
        let last = code.width() as isize + QUIET as isize - 1;
        assert!((-(QUIET as isize)..=last).all(|x| !dark(x, -1) && !dark(x, last) && !dark(-1, x) && !dark(last, x)));
    }
}
