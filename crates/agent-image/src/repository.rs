//! The image of repository tasks: the agent image plus build tools of projects.

use engine::{BuildSpec, Engine, Labels};

use super::{
    BuildOptions, BuildOutcome, BuildStep, CONTENT_LABEL, Change, ImageError, context, follow, hash_of, owned,
    remove_previous, up_to_date,
};

const DOCKERFILE: &str = include_str!("../../../docker/repository/Dockerfile");

/// Builds the image. It inherits the labels of the agent image, which describe its content.
pub(super) async fn build(
    engine: &dyn Engine,
    options: &BuildOptions,
    progress: &mut impl FnMut(BuildStep),
) -> Result<BuildOutcome, ImageError> {
    let base = engine.image(&options.tag).await?.ok_or_else(|| ImageError::NoAgentImage(options.tag.clone()))?;
    let made_from = hash_of(&[DOCKERFILE.as_bytes()], base.id.as_bytes());
    let previous = owned::previous(engine, &options.repository_tag).await?;
    if let Some(id) = up_to_date(options, previous.as_ref(), &made_from) {
        return Ok(BuildOutcome { id, change: Change::UpToDate, claude: None });
    }
    progress(BuildStep::Building);
    let spec = BuildSpec {
        context: context::of_dockerfile(DOCKERFILE).map_err(ImageError::Context)?,
        tag: options.repository_tag.clone(),
        build_args: options.build_args(&options.tag),
        labels: Labels::from([(CONTENT_LABEL.to_owned(), made_from)]),
        cache: options.cache(),
    };
    let id = follow(engine, spec, &options.repository_tag, progress).await?;
    remove_previous(engine, previous, &id).await;
    Ok(BuildOutcome { id, change: Change::Built, claude: None })
}
