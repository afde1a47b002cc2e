package transport

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// A ring does many reads or writes of sockets with one system call (io_uring). Where the way into the kernel costs as much as what it does there, as it does for short
// frames with the mitigations of today's processors, that is a third to a half of it. None of them waits, and when submit returns, all are done: a ring is a
// cheaper way to call, and no other way to work.
//
// The loop's goroutine owns it.
type ring struct {
	fd      int32
	mapped  [][]byte
	sqHead  *atomic.Uint32 // how far the kernel is
	sqTail  *atomic.Uint32 // how far we are
	sqMask  uint32
	sqes    []ringEntry
	cqHead  *atomic.Uint32
	cqTail  *atomic.Uint32
	cqMask  uint32
	cqes    []ringResult
	calls   [ringSize]ringCall // what submit is to do
	n       int
	refused bool // the kernel takes no more: each call is made by itself
}

// ringSize is how many calls one system call makes at most. The thread can't be stopped meanwhile, for a collection of garbage say: with some microseconds
// for each it is not to be noticed. Above, there is little left to be gained.
const ringSize = 64

// ringCall is one read or write, and when it was done, its outcome.
type ringCall struct {
	op  uint8
	fd  int32
	b   []byte
	n   int
	err syscall.Errno
}

// What follows is Linux's interface, see io_uring_setup(2) and io_uring_enter(2).
const (
	sysRingSetup = 425
	sysRingEnter = 426

	ringOffSQ   = 0
	ringOffSQEs = 0x10000000

	ringSubmitAll  = 1 << 7 // a call that fails does not hold up those behind it; Linux 5.18
	ringSingleMmap = 1 << 0 // both queues are one mapping; Linux 5.4
	ringNoDrop     = 1 << 1 // no result is lost; Linux 5.5
	ringWait       = 1 << 0

	opSend = 26
	opRecv = 27
)

// ringEntry is a call as the kernel wants it: io_uring_sqe.
type ringEntry struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	msgFlags uint32
	userData uint64
	_        [3]uint64
}

// ringResult is what the kernel says of it: io_uring_cqe.
type ringResult struct {
	userData uint64
	res      int32
	flags    uint32
}

type ringParams struct {
	sqEntries, cqEntries, flags, threadCPU, threadIdle, features, wqFD uint32
	_                                                                  [3]uint32
	sq                                                                 struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		userAddr                                                    uint64
	}
	cq struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		userAddr                                                    uint64
	}
}

// newRing returns nil where there are none: the kernel is older than 5.18, or whoever runs the process has forbidden them, as containers often do.
func newRing() *ring {
	var p ringParams
	p.flags = ringSubmitAll
	fd, _, errno := syscall.RawSyscall(sysRingSetup, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil
	}
	r := &ring{fd: int32(fd)}
	const must = ringSingleMmap | ringNoDrop
	if p.features&must != must || p.sqEntries != ringSize || !r.mmap(&p) {
		r.close()
		return nil
	}
	return r
}

// mmap maps the queues.
func (r *ring) mmap(p *ringParams) bool {
	size := max(p.sq.array+4*p.sqEntries, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(ringResult{})))
	queues, err := syscall.Mmap(int(r.fd), ringOffSQ, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return false
	}
	r.mapped = append(r.mapped, queues)
	entries, err := syscall.Mmap(int(r.fd), ringOffSQEs, int(p.sqEntries)*int(unsafe.Sizeof(ringEntry{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return false
	}
	r.mapped = append(r.mapped, entries)
	word := func(at uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&queues[at])) }
	r.sqHead, r.sqTail, r.sqMask = word(p.sq.head), word(p.sq.tail), word(p.sq.ringMask).Load()
	r.cqHead, r.cqTail, r.cqMask = word(p.cq.head), word(p.cq.tail), word(p.cq.ringMask).Load()
	r.sqes = unsafe.Slice((*ringEntry)(unsafe.Pointer(&entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*ringResult)(unsafe.Pointer(&queues[p.cq.cqes])), p.cqEntries)
	for i := range p.sqEntries { // entry i is always at place i
		word(p.sq.array + 4*i).Store(i)
	}
	return true
}

func (r *ring) close() {
	for _, m := range r.mapped {
		_ = syscall.Munmap(m)
	}
	_ = syscall.Close(int(r.fd))
}

// full says whether submit must be called before there is room for another call.
func (r *ring) full() bool { return r.n == ringSize }

// recv adds a read; b is not empty.
func (r *ring) recv(fd int32, b []byte) { r.add(ringCall{op: opRecv, fd: fd, b: b}) }

// send adds a write.
func (r *ring) send(fd int32, b []byte) { r.add(ringCall{op: opSend, fd: fd, b: b}) }

func (r *ring) add(c ringCall) {
	r.calls[r.n] = c
	r.n++
}

// submit makes the calls, and returns them with what sysRead and sysWrite would have returned. What it returns is valid until the next call is added.
func (r *ring) submit() []ringCall {
	all := r.calls[:r.n]
	r.n = 0
	if len(all) < 2 || r.refused {
		for i := range all {
			all[i].byItself()
		}
		return all
	}
	r.prepare(all)
	done := r.enter(len(all))
	for i := range all[done:] { // the kernel has not even looked at them
		all[done+i].byItself()
	}
	r.collect(all, done)
	return all
}

func (r *ring) prepare(all []ringCall) {
	tail := r.sqTail.Load()
	for i := range all {
		c := &all[i]
		r.sqes[tail&r.sqMask] = ringEntry{
			opcode: c.op, fd: c.fd, addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(c.b)))), len: uint32(len(c.b)),
			msgFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, userData: uint64(i),
		}
		tail++
	}
	r.sqTail.Store(tail)
}

// enter has the kernel make the calls, and returns how many it has.
func (r *ring) enter(n int) (done int) {
	got, _, errno := syscall.RawSyscall6(sysRingEnter, uintptr(r.fd), uintptr(n), 0, 0, 0, 0)
	if errno == 0 {
		done = int(got)
	} else if errno != syscall.EINTR && errno != syscall.EAGAIN && errno != syscall.EBUSY {
		r.refused = true
	}
	if done < n { // what it has not taken is not to be found there next time
		r.sqTail.Store(r.sqHead.Load())
	}
	return done
}

// collect takes the outcome of the first done calls. All are there, as none of them may wait; were one not, its buffer would be the kernel's still, so it is waited for.
func (r *ring) collect(all []ringCall, done int) {
	head := r.cqHead.Load()
	for done > 0 {
		if head == r.cqTail.Load() {
			_, _, _ = syscall.Syscall6(sysRingEnter, uintptr(r.fd), 0, 1, ringWait, 0, 0)
			continue
		}
		res := &r.cqes[head&r.cqMask]
		all[res.userData].is(res.res)
		head++
		done--
		r.cqHead.Store(head)
	}
	runtime.KeepAlive(all)
}

// is notes the outcome.
func (c *ringCall) is(res int32) {
	c.n, c.err = int(max(res, 0)), syscall.Errno(max(-res, 0))
	if c.op == opSend && (c.err == syscall.EAGAIN || c.err == syscall.EINTR) {
		c.err = 0
	} else if c.err == syscall.EINTR {
		c.err = syscall.EAGAIN // it will be reported again
	}
}

// byItself makes the call with a system call of its own.
func (c *ringCall) byItself() {
	if c.op == opSend {
		c.n, c.err = sysWrite(c.fd, c.b)
	} else {
		c.n, c.err = sysRead(c.fd, c.b)
	}
	if c.err != 0 {
		c.n = 0
	}
}
