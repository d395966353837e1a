//! The port to what makes container images of a Dockerfile.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::recipe::Recipe;
use super::report::Report;
use super::source::Tree;
use crate::images::Image;

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerOrder {
    /// The name the image gets; empty when only its content counts.
    pub image: String,
    /// The Dockerfile, from the root of the tree.
    pub dockerfile: String,
    /// How, and in which directory of the tree.
    pub recipe: Recipe,
}

/// Makes container images.
pub trait ContainerBuilder: Send + Sync {
    /// Builds an image of a tree, and sends it to the registry of the recipe if there is one. It
    /// is given up when the build is not wanted any more. The error is a sentence for the tenant.
    fn build(
        &self,
        order: ContainerOrder,
        tree: Arc<dyn Tree>,
        report: Arc<Report>,
    ) -> BoxFuture<'_, Result<Image, String>>;
}
