//! The WASI context of an instance: a clock, randomness, two streams that end in a log, and what
//! its surroundings say. No files, no network, no standard input.
//!
//! Each line carries the id of the request it was printed for, so that the cause of an answer is
//! found by what the client was told.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::manifest::ComponentId;
use crate::surroundings::{Lines, Stream, Surroundings};

/// Bytes of one line; a longer one is broken. Keeps a component from growing our memory.
const LINE_BYTES: usize = 4_096;

/// Lines of one request. Enough for a stack trace; a component that prints in a loop would fill
/// the operator's disk.
const LINES_A_REQUEST: u32 = 100;

pub(crate) fn wasi_context(
    component: &ComponentId,
    surroundings: &Surroundings,
    request: &Arc<PrintedFor>,
) -> WasiCtx {
    let stream = |stream| LogStream {
        component: component.clone(),
        stream,
        lines: surroundings.lines.clone(),
        request: Arc::clone(request),
    };
    WasiCtxBuilder::new()
        .stdout(stream(Stream::Stdout))
        .stderr(stream(Stream::Stderr))
        .args(&surroundings.arguments)
        .envs(&surroundings.variables)
        .build()
}

/// The request that an instance prints for, shared with its streams.
pub(crate) struct PrintedFor(Mutex<Printed>);

struct Printed {
    request_id: Arc<str>,
    lines: u32,
}

impl PrintedFor {
    pub(crate) fn new(request_id: Arc<str>) -> Self {
        Self(Mutex::new(Printed { request_id, lines: 0 }))
    }

    /// What is printed from now on is printed for this request.
    pub(crate) fn begin(&self, request_id: Arc<str>) {
        *self.lock() = Printed { request_id, lines: 0 };
    }

    fn request_id(&self) -> Arc<str> {
        Arc::clone(&self.lock().request_id)
    }

    /// Counts a line of a request, and says the how manieth it is. The end of an earlier request's
    /// line is none of this one's.
    fn count(&self, request_id: &Arc<str>) -> u32 {
        let mut printed = self.lock();
        if !Arc::ptr_eq(&printed.request_id, request_id) {
            return 0;
        }
        printed.lines = printed.lines.saturating_add(1);
        printed.lines
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Printed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a line of the log out of each line a component prints.
struct LogStream {
    component: ComponentId,
    stream: Stream,
    lines: Option<Arc<dyn Lines>>,
    request: Arc<PrintedFor>,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter {
            component: self.component.clone(),
            stream: self.stream,
            lines: self.lines.clone(),
            request: Arc::clone(&self.request),
            request_id: self.request.request_id(),
            line: Vec::new(),
        })
    }
}

struct LineWriter {
    component: ComponentId,
    stream: Stream,
    lines: Option<Arc<dyn Lines>>,
    request: Arc<PrintedFor>,
    /// For which request the line was begun.
    request_id: Arc<str>,
    line: Vec<u8>,
}

impl LineWriter {
    /// Ends what an earlier request left without an end.
    fn follow_request(&mut self) {
        let current = self.request.request_id();
        if !Arc::ptr_eq(&current, &self.request_id) {
            self.emit();
            self.request_id = current;
        }
    }

    fn emit(&mut self) {
        if self.line.is_empty() {
            return;
        }
        if let Some(lines) = &self.lines {
            // The log of a workload has bounds of its own.
            lines.line(self.stream, &String::from_utf8_lossy(&self.line));
            self.line.clear();
            return;
        }
        let (component, stream) = (&self.component, self.stream.as_str());
        let request_id = &self.request_id;
        let number = self.request.count(request_id);
        if number <= LINES_A_REQUEST {
            let text = String::from_utf8_lossy(&self.line);
            tracing::info!(%component, stream, %request_id, "{text}");
        } else if number == LINES_A_REQUEST + 1 {
            tracing::warn!(
                %component, stream, %request_id,
                "the component prints more than {LINES_A_REQUEST} lines for a request; the rest \
                 is dropped"
            );
        }
        self.line.clear();
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.follow_request();
        for &byte in bytes {
            if byte == b'\n' {
                self.emit();
            } else {
                self.line.push(byte);
                if self.line.len() >= LINE_BYTES {
                    self.emit();
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.emit();
        Poll::Ready(Ok(()))
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.emit();
    }
}
