//! The shape of an asynchronous port, so that ports can be trait objects on every target.
//!
//! Natively a future moves between threads. In a component there is one thread and the bindings'
//! futures are not [`Send`], so the bound is left away there.

use std::pin::Pin;

/// What a method of a port returns.
#[cfg(not(target_arch = "wasm32"))]
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a method of a port returns.
#[cfg(target_arch = "wasm32")]
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What every port must be: [`Send`] and [`Sync`] natively, anything in a component.
#[cfg(not(target_arch = "wasm32"))]
pub trait PortBound: Send + Sync {}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync + ?Sized> PortBound for T {}

/// What every port must be: [`Send`] and [`Sync`] natively, anything in a component.
#[cfg(target_arch = "wasm32")]
pub trait PortBound {}

#[cfg(target_arch = "wasm32")]
impl<T: ?Sized> PortBound for T {}
