//! Buffers that the kernel picks from when bytes have come, so that a connection that waits holds none:
//! `io_uring_register_buf_ring(3)`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::num::NonZeroU16;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;
/// Bytes in a buffer. Memory that nothing was received into yet is not resident.
pub(super) const LEN: u32 = 32 << 10;
const SIZE: usize = LEN as usize;
/// The kernel takes no more, and only powers of two.
const MOST: u16 = 1 << 15;
/// The kernel wants the ring to begin with a page, of whatever size.
const PAGE: usize = 64 << 10;

/// A ring of buffers, all of the same size.
pub(super) struct Buffers {
    ring: Memory<BufRingEntry>,
    memory: Memory<u8>,
    count: u16,
    /// How many were given to the kernel so far.
    tail: u16,
}

impl Buffers {
    /// At least so many, all of them the kernel's.
    pub(super) fn register(uring: &IoUring, count: NonZeroU16) -> io::Result<Self> {
        let count = count.get().min(MOST).next_power_of_two();
        let entries = usize::from(count);
        let mut buffers = Self {
            ring: Memory::new(Layout::array::<BufRingEntry>(entries), PAGE)?,
            // Not aligned more than it need be: then it is the system that zeroes it, when it is touched.
            memory: Memory::new(Layout::array::<[u8; SIZE]>(entries), 1)?,
            count,
            tail: 0,
        };
        // SAFETY: the ring is as long as it is said to be, and it is freed after the `io_uring` was: the owner of both
        // drops them in this order.
        unsafe {
            let address = buffers.ring.start.as_ptr() as u64;
            uring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0)?;
        }
        (0..count).for_each(|buffer| buffers.give(buffer));
        Ok(buffers)
    }

    /// What the kernel put into a buffer that it picked, and that was not given back since.
    pub(super) fn filled(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(buffer < self.count && len <= SIZE, "the kernel fills what it was given");
        // SAFETY: it lies within `memory`, which is initialised. The kernel writes to it no more, until it is given back,
        // for which the borrow must have ended.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().add(usize::from(buffer) * SIZE), len) }
    }

    /// Gives a buffer to the kernel.
    pub(super) fn give(&mut self, buffer: u16) {
        assert!(buffer < self.count, "no such buffer");
        let base = self.ring.start.as_ptr();
        let index = usize::from(self.tail & (self.count - 1));
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the entry and the tail lie within the ring, which is aligned for both. The kernel reads an entry only
        // after the tail has passed it, and writes none; the tail lies where the first entry has a field that is not used,
        // and is written here alone. The kernel may read it at any time, so it is accessed atomically.
        unsafe {
            let entry = base.add(index);
            (*entry).set_addr(self.memory.start.as_ptr().add(usize::from(buffer) * SIZE) as u64);
            (*entry).set_len(LEN);
            (*entry).set_bid(buffer);
            AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()).store(self.tail, Ordering::Release);
        }
    }

    /// Never frees them.
    pub(super) const fn leak(&mut self) {
        self.ring.leaked = true;
        self.memory.leaked = true;
    }
}

/// Zeroed memory that does not move.
struct Memory<T> {
    start: NonNull<T>,
    layout: Layout,
    leaked: bool,
}

// SAFETY: it owns its memory, as a box does.
unsafe impl<T: Send> Send for Memory<T> {}

impl<T> Memory<T> {
    fn new(layout: Result<Layout, std::alloc::LayoutError>, align: usize) -> io::Result<Self> {
        let layout = layout.and_then(|layout| layout.align_to(align)).map_err(io::Error::other)?;
        // SAFETY: the layout is not empty: it is that of at least one thing, which is not.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start.cast()) else { handle_alloc_error(layout) };
        Ok(Self { start, layout, leaked: false })
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        if !self.leaked {
            // SAFETY: it was allocated with this layout, and is used no more.
            unsafe { dealloc(self.start.as_ptr().cast(), self.layout) };
        }
    }
}
