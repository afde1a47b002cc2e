package recipes

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"regexp"
	"testing"
)

const modbusPage = "modbus.md"

func modbusServer(t *testing.T) *program {
	t.Helper()
	const python, lib = "/usr/bin/python3", "python3-pymodbus and python3-serial-asyncio" // Debian's Python: another does not see its packages
	if err := exec.Command(python, "-c", "from pymodbus.server import StartTcpServer").Run(); err != nil {
		t.Skipf("pymodbus is not installed: on Debian it is in the packages %s", lib)
	}
	addr := freeAddr(t)
	return launch(t, exec.Command(python, "testdata/modbus_server.py", portOf(addr)), addr)
}

func modbusFrame(transaction uint16, pdu ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, transaction)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(pdu)))
	return append(append(b, 1), pdu...)
}

func TestModbus(t *testing.T) {
	mbpoll := find(t, "mbpoll", "mbpoll")
	server := modbusServer(t)
	g := serve(t, modbusPage, 0, ":502", "10.0.0.1:502", server)

	// mbpoll begins its transactions with the same number in every process, and refuses an answer that has another.
	t.Run("mbpoll", func(t *testing.T) {
		value := regexp.MustCompile(`(?m)^\[(\d+)\]:\s+(\d+)`)
		crowd(t, func(i int) error {
			register, v := fmt.Sprint(100+i), fmt.Sprint(7000+i)
			common := []string{"-m", "tcp", "-p", portOf(g.addr), "-o", "10", "-0", "-1", "-r", register, "127.0.0.1"}
			if _, err := run("", mbpoll, append(common, v)...); err != nil {
				return err
			}
			out, err := run("", mbpoll, common...)
			if err != nil {
				return err
			}
			if m := value.FindStringSubmatch(out); m == nil || m[1] != register || m[2] != v {
				return fmt.Errorf("register %s is not %s:\n%s", register, v, out)
			}
			return nil
		})
		g.fewLinks()
	})
	// Every client numbers its transactions alike, and each gets the register it asked for.
	t.Run("50 at once", func(t *testing.T) {
		g.together(func(i int) question {
			return question{
				ask:  modbusFrame(0xBEEF, 0x03, 0, byte(i), 0, 1),
				want: modbusFrame(0xBEEF, 0x03, 2, 0, byte(i)),
			}
		})
	})
	t.Run("an exception is an answer", func(t *testing.T) {
		c := g.dial()
		defer c.Close()
		if err := exchange(c, question{modbusFrame(1, 0x03, 0xFF, 0xFF, 0, 1), modbusFrame(1, 0x83, 2)}); err != nil {
			t.Error(err)
		}
	})
	beat := modbusFrame(9, 0x08, 0, 0, 0, 0)
	g.atTheEdge(server, question{beat, beat})
}
