package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compared are the packages whose benchmarks are compared: the hot path.
var compared = []string{"./wire", "./transport", "./client", "./upstream", "./handler"}

// compare runs the Go benchmarks of the work tree and of another revision in turn, and has benchstat say what differs.
func compare(ctx context.Context, rev string, rounds int) error {
	dir, err := os.MkdirTemp("", "gopr-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	other := filepath.Join(dir, "tree")
	if err := command(ctx, ".", os.Stderr, "git", "worktree", "add", "--quiet", "--detach", other, rev); err != nil {
		return fmt.Errorf("%s: %w", rev, err)
	}
	defer func() { // also when ctx has ended
		_ = command(context.Background(), ".", os.Stderr, "git", "worktree", "remove", "--force", other)
	}()
	trees := []struct{ name, path string }{{rev, other}, {"now", "."}}
	for i, tree := range trees {
		for _, pkg := range compared {
			binary := filepath.Join(dir, fmt.Sprintf("%d-%s.test", i, filepath.Base(pkg)))
			if err := command(ctx, tree.path, os.Stderr, "go", "test", "-c", "-o", binary, pkg); err != nil {
				return fmt.Errorf("%s at %s: %w", pkg, tree.name, err)
			}
		}
	}
	var found [2]*os.File
	for i := range trees {
		if found[i], err = os.Create(filepath.Join(dir, fmt.Sprintf("%d.txt", i))); err != nil {
			return err
		}
		defer found[i].Close()
	}
	for round := range rounds {
		for _, pkg := range compared {
			for i, tree := range trees {
				binary := filepath.Join(dir, fmt.Sprintf("%d-%s.test", i, filepath.Base(pkg)))
				if _, err := os.Stat(binary); err != nil {
					continue // a package without tests makes none
				}
				fmt.Fprintf(found[i], "pkg: %s\n", pkg)
				err := command(ctx, filepath.Join(tree.path, pkg), found[i], binary, "-test.run=^$", "-test.bench=.", "-test.benchmem", "-test.benchtime=200ms")
				if err != nil {
					return fmt.Errorf("%s at %s: %w", pkg, tree.name, err)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
	}
	return command(ctx, ".", os.Stdout, "go", "tool", "-modfile=tools/go.mod", "benchstat", rev+"="+found[0].Name(), "now="+found[1].Name())
}

// command runs a program; its output goes to the file, its errors to standard error.
func command(ctx context.Context, dir string, to *os.File, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, to, os.Stderr
	return cmd.Run()
}
