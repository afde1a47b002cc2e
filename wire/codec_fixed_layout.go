package wire

import (
	"fmt"
	"reflect"
)

// fixedLayout is a type of fixed size as the runs that make it up, in the order
// of the wire.
type fixedLayout struct {
	runs   []fixedRun
	size   int // on the wire, in bytes
	little bool
}

// fixedRun is n elements of one kind that lie side by side, on the wire and in
// memory.
type fixedRun struct {
	kind   fixedKind
	offset uintptr // of the first, from the start of the value in memory
	n      int
}

// fixedKind is how an element is read and written. Signed, unsigned and
// floating-point numbers of one width are the same bits.
type fixedKind uint8

const (
	fixedPad   fixedKind = iota // a byte of a field named _: on the wire alone
	fixedBool                   // apart from bytes, since a Go bool must be 0 or 1
	fixedByte                   // 1 byte
	fixedTwo                    // 2 bytes
	fixedFour                   // 4 bytes
	fixedEight                  // 8 bytes
)

// width is the size of an element in bytes.
func (k fixedKind) width() int {
	switch k {
	case fixedTwo:
		return 2
	case fixedFour:
		return 4
	case fixedEight:
		return 8
	default:
		return 1
	}
}

// layFixed lays out a type.
func layFixed(t reflect.Type) (fixedLayout, error) {
	var l fixedLayout
	if path, why := l.lay(t, 0); why != "" {
		what := "field "
		switch {
		case path == "":
			what = "it"
		case path[0] == '[':
			what = "element "
		}
		return fixedLayout{}, fmt.Errorf("%v has no fixed layout: %s%s %s", t, what, path, why)
	}
	return l, nil
}

// lay appends a type that lies at offset. If it cannot be, why is the rest of a
// sentence that begins with the path of the field that is to blame.
func (l *fixedLayout) lay(t reflect.Type, offset uintptr) (path, why string) {
	switch t.Kind() {
	case reflect.Bool:
		l.add(fixedBool, offset, 1)
	case reflect.Int8, reflect.Uint8:
		l.add(fixedByte, offset, 1)
	case reflect.Int16, reflect.Uint16:
		l.add(fixedTwo, offset, 1)
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		l.add(fixedFour, offset, 1)
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		l.add(fixedEight, offset, 1)
	case reflect.Complex64: // two float32
		l.add(fixedFour, offset, 2)
	case reflect.Complex128:
		l.add(fixedEight, offset, 2)
	case reflect.Array:
		return l.layArray(t, offset)
	case reflect.Struct:
		return l.layStruct(t, offset)
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return "", fmt.Sprintf("is of type %v, whose size depends on the machine: say which, as in int64", t)
	default:
		return "", fmt.Sprintf("is of type %v, whose size varies", t)
	}
	return "", ""
}

func (l *fixedLayout) layArray(t reflect.Type, offset uintptr) (path, why string) {
	var elem fixedLayout // looked at even if there are none
	if path, why := elem.lay(t.Elem(), 0); why != "" {
		return "[]" + dot(path), why
	}
	if elem.size == 0 {
		return "", ""
	}
	for i := range t.Len() {
		at := offset + uintptr(i)*t.Elem().Size()
		for _, r := range elem.runs {
			l.add(r.kind, at+r.offset, r.n)
		}
	}
	return "", ""
}

func (l *fixedLayout) layStruct(t reflect.Type, offset uintptr) (path, why string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			var blank fixedLayout
			if path, why := blank.lay(f.Type, 0); why != "" {
				return f.Name + dot(path), why
			}
			l.add(fixedPad, 0, blank.size)
			continue
		}
		if !f.IsExported() {
			return f.Name, "is unexported: export it, or call it _ if it is padding"
		}
		if path, why := l.lay(f.Type, offset+f.Offset); why != "" {
			return f.Name + dot(path), why
		}
	}
	return "", ""
}

// dot joins what is below a field to its name.
func dot(path string) string {
	if path == "" || path[0] == '[' {
		return path
	}
	return "." + path
}

// add appends elements, to the last run where they go on with it.
func (l *fixedLayout) add(kind fixedKind, offset uintptr, n int) {
	if n == 0 {
		return
	}
	l.size += n * kind.width()
	if len(l.runs) > 0 {
		last := &l.runs[len(l.runs)-1]
		if last.kind == kind && (kind == fixedPad || last.offset+uintptr(last.n*kind.width()) == offset) {
			last.n += n
			return
		}
	}
	l.runs = append(l.runs, fixedRun{kind, offset, n})
}
