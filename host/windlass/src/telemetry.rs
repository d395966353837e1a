//! Logs to stderr, metrics to Prometheus, traces to an OTLP collector when one is configured.

use std::io::IsTerminal;

use anyhow::Context;
use http::HeaderMap;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::configuration::Configuration;

/// Bounds of latency histograms, in seconds: from a cached read to the longest deadline.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What must be kept alive, and flushed at the end.
pub(crate) struct Telemetry {
    /// Renders the metrics.
    pub(crate) metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts all three. Call it once, before the asynchronous runtime.
    pub(crate) fn start(configuration: &Configuration) -> anyhow::Result<Self> {
        let filter = filter(&configuration.log)?;
        let log = tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        let log: Box<dyn Layer<Registry> + Send + Sync> = if configuration.log_json {
            log.json().with_filter(filter).boxed()
        } else {
            log.with_filter(filter).boxed()
        };
        let traces = configuration.otlp_endpoint.as_deref().map(exporter).transpose()?;
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("windlass"))
                .with_filter(Targets::new().with_target("windlass::trace", tracing::Level::DEBUG))
        });
        tracing_subscriber::registry().with(log).with(spans).try_init().context("logging")?;
        let metrics = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .and_then(PrometheusBuilder::install_recorder)
            .context("metrics")?;
        Ok(Self { metrics, traces })
    }

    /// Sends what was not sent yet.
    pub(crate) fn finish(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// Makes a request's span part of the trace that the caller's `traceparent` names, if it names one.
pub(crate) fn join_trace(span: &tracing::Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    if context.span().span_context().is_valid()
        && let Err(error) = span.set_parent(context)
    {
        tracing::debug!("a request does not join the trace of its caller: {error}");
    }
}

/// Headers as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Understands the key `log`.
pub(crate) fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).with_context(|| {
        format!("log is {text:?}; use a filter such as info or warn,windlass_engine=debug")
    })
}

fn exporter(endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .context("otlp_endpoint")?;
    let resource = opentelemetry_sdk::Resource::builder().with_service_name("windlass").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
