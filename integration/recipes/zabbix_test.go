package recipes

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const zabbixPage = "zabbix.md"

func zabbixAgent(t *testing.T) *program {
	t.Helper()
	path, addr := find(t, "zabbix_agentd", "zabbix-agent"), freeAddr(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "zabbix_agentd.conf")
	config := fmt.Sprintf("Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort=%s\nHostname=test\nLogType=console\nPidFile=%s\nAllowRoot=1\n",
		portOf(addr), filepath.Join(dir, "pid"))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return launch(t, exec.Command(path, "-f", "-c", file), addr)
}

func zabbixFrame(payload string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("ZBXD\x01"), uint32(len(payload)))
	return append(append(b, 0, 0, 0, 0), payload...)
}

func TestZabbix(t *testing.T) {
	get := find(t, "zabbix_get", "zabbix-proxy-sqlite3")
	server := zabbixAgent(t)
	g := serve(t, zabbixPage, 0, ":10050", "10.0.0.1:10050", server)
	ask := func(item string, more ...string) (string, error) {
		out, err := run("", get, append(more, "-s", "127.0.0.1", "-p", portOf(g.addr), "-k", item)...)
		return strings.TrimSpace(out), err
	}

	t.Run("zabbix_get", func(t *testing.T) {
		dir := t.TempDir()
		crowd(t, func(i int) error {
			file, want := filepath.Join(dir, fmt.Sprint(i)), strings.Repeat(fmt.Sprintf("line %d ", i), 1000)
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				return err
			}
			got, err := ask(fmt.Sprintf("vfs.file.contents[%s]", file))
			if err == nil && got != strings.TrimSpace(want) {
				err = fmt.Errorf("got %d bytes, want %d", len(got), len(want))
			}
			return err
		})
		if got, err := ask("agent.ping"); err != nil || got != "1" {
			t.Errorf("agent.ping: %q, %v", got, err)
		}
		if n := g.metric("pings_answered_total"); n != 0 {
			t.Errorf("%v items were answered by the gateway, want none: they are the agent's", n)
		}
	})
	g.atTheEdge(server, question{zabbixFrame("gateway.ping"), zabbixFrame("1")})
	if got, err := ask("gateway.ping"); err != nil || got != "1" {
		t.Errorf("zabbix_get, without an agent: %q, %v", got, err)
	}
	if got, err := ask("agent.ping", "-t", "1"); err == nil && got == "1" {
		t.Error("agent.ping was answered without an agent")
	}
}
