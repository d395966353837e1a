//! The WASI context of an instance: a clock, randomness, and two streams that end in the log.
//! No files, no network, no environment, no arguments, no standard input.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::manifest::ComponentId;

/// Bytes of one line; a longer one is broken. Keeps a component from growing our memory.
const LINE_BYTES: usize = 4_096;

pub(crate) fn wasi_context(component: &ComponentId) -> WasiCtx {
    WasiCtxBuilder::new()
        .stdout(LogStream { component: component.clone(), stream: "stdout" })
        .stderr(LogStream { component: component.clone(), stream: "stderr" })
        .build()
}

/// Makes a line of the log out of each line a component prints.
struct LogStream {
    component: ComponentId,
    stream: &'static str,
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
            line: Vec::new(),
        })
    }
}

struct LineWriter {
    component: ComponentId,
    stream: &'static str,
    line: Vec<u8>,
}

impl LineWriter {
    fn emit(&mut self) {
        if !self.line.is_empty() {
            let text = String::from_utf8_lossy(&self.line);
            tracing::info!(component = %self.component, stream = self.stream, "{text}");
            self.line.clear();
        }
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
