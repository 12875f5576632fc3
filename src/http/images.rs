//! Images sent along as data URLs or links.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64;
use imagesize::ImageType;
use muniment_domain::Patch;
use muniment_projections::objects::images::{self, Image};
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;

/// What an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// A user's profile.
    Users,
    /// A team's profile.
    Teams,
    /// A member's profile in a team.
    TeamMembers,
    /// A project's logos.
    ProjectLogos,
}

/// Where an image may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageRule {
    /// A data URL only: clients may not make others load what they please.
    UploadsOnly,
    /// A data URL, or a link that is kept as it is.
    UploadsAndLinks,
}

impl Folder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Users => "user-profile-images",
            Self::Teams => "team-profile-images",
            Self::TeamMembers => "team-member-profile-images",
            Self::ProjectLogos => "project-logos",
        }
    }
}

/// The largest image, in bytes once decoded, and in characters as base64.
const MAX_SIZE: usize = 1_000_000;

/// The routes of this file.
pub(super) fn router() -> Router<App> {
    Router::new().route("/images/{folder}/{file}", get(serve))
}

/// Takes an image: keeps what was uploaded, and gives the URL to store.
///
/// # Errors
/// A plain 400 for anything but an image of a known format, or a link where links are allowed.
pub(super) async fn accept(
    app: &App,
    folder: Folder,
    rule: ImageRule,
    image: Patch<String>,
) -> Result<Patch<String>, ApiError> {
    let Patch::Set(url) = image else {
        return Ok(image);
    };
    if let Some(data) = url.strip_prefix("data:") {
        return Ok(Patch::Set(upload(app, folder, data).await?));
    }
    let is_link = url.starts_with("http://") || url.starts_with("https://");
    match rule {
        ImageRule::UploadsAndLinks if is_link => Ok(Patch::Set(url)),
        ImageRule::UploadsAndLinks => Err(refused(
            "must be a data URL, or start with http:// or https://.",
        )),
        ImageRule::UploadsOnly => Err(refused("must be a data URL: data:image/png;base64,…")),
    }
}

async fn upload(app: &App, folder: Folder, data: &str) -> Result<String, ApiError> {
    let image = decode(data)?;
    if folder == Folder::ProjectLogos {
        check_logo(&image)?;
    }
    let id = app.random.uuid();
    images::insert(app.pool(), id, folder.as_str(), &image).await?;
    Ok(format!(
        "{}/images/{}/{id}.{}",
        app.public_url,
        folder.as_str(),
        image.extension
    ))
}

/// Reads what follows `data:`.
fn decode(data: &str) -> Result<Image, ApiError> {
    let base64 = data
        .strip_prefix("image/")
        .and_then(|rest| rest.split_once(";base64,"))
        .filter(|(kind, _)| kind.chars().all(|c| c.is_ascii_alphanumeric()))
        .map(|(_, base64)| base64)
        .ok_or_else(|| refused("must be an image in base64: data:image/png;base64,…"))?;
    if base64.len() > MAX_SIZE {
        return Err(refused(
            "is too large: at most 1,000,000 characters of base64.",
        ));
    }
    let bytes = BASE64
        .decode(base64.as_bytes())
        .map_err(|_| refused("is not valid base64."))?;
    let extension = format_of(&bytes).ok_or_else(|| {
        refused("is not an image of a known format: PNG, JPEG, GIF, BMP or WebP.")
    })?;
    Ok(Image {
        extension: extension.to_owned(),
        bytes,
    })
}

/// Logos are shown everywhere, so they are of the formats that everything shows, and no larger
/// than anything shows.
fn check_logo(image: &Image) -> Result<(), ApiError> {
    const MAX_SIDE: usize = 4096;
    if !["png", "jpg", "webp"].contains(&image.extension.as_str()) {
        return Err(refused("is not a PNG, JPEG or WebP."));
    }
    match imagesize::blob_size(&image.bytes) {
        Ok(size) if size.width <= MAX_SIDE && size.height <= MAX_SIDE => Ok(()),
        _ => Err(refused("is larger than 4096 by 4096 pixels.")),
    }
}

/// What the bytes are, whatever they were said to be.
fn format_of(bytes: &[u8]) -> Option<&'static str> {
    let extension = match imagesize::image_type(bytes).ok()? {
        ImageType::Png => "png",
        ImageType::Jpeg => "jpg",
        ImageType::Gif => "gif",
        ImageType::Bmp => "bmp",
        ImageType::Webp => "webp",
        _ => return None,
    };
    // The header alone can be had for eight bytes; an image has a size.
    imagesize::blob_size(bytes).ok().map(|_| extension)
}

fn refused(why: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, format!("The image {why}"))
}

async fn serve(
    State(app): State<App>,
    Path((folder, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::text(StatusCode::NOT_FOUND, "There is no such image.");
    let (name, _) = file.rsplit_once('.').ok_or_else(missing)?;
    let id = Uuid::try_parse(name).map_err(|_| missing())?;
    if folder.contains('\0') {
        return Err(missing());
    }
    let image = images::by_id(app.pool(), &folder, id)
        .await?
        .ok_or_else(missing)?;
    let kind = match image.extension.as_str() {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        _ => "image/webp",
    };
    // An image never changes under its URL. The browser must not take it for anything else.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, image.bytes).into_response())
}
