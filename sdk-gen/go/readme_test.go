package sluice_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"context"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

var fence = regexp.MustCompile("(?ms)^## ([^\n]+)\n.*?^```go\n(.*?)^```$")

func TestTheExamplesOfTheReadmeRunAsPrinted(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	check(t, err)
	s := startServer(t)
	_, err = connect(t, s.url).Register(context.Background(), &sluicev1.RegisterRequest{
		Email: "ada@example.com", Password: "a long passphrase", SetupToken: s.secret("setup-token"),
	})
	check(t, err)
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, "holiday.mp4"), random(9*mib), 0o600))
	check(t, os.WriteFile(filepath.Join(folder, "large.iso"), random(80*mib), 0o600))
	says := map[string]string{
		"Upload a file with progress": "9437184 of 9437184 bytes\nIt is file_",
		"Resume":                      "true true",
		"Find and download":           "holiday.mp4 9437184",
		"Watch":                       "STATE_",
		"Errors":                      "server InvalidArgument INVALID_FIELD [{name ",
		"Accounts and keys":           "The secret is shown once: true",
		"Everything else":             "1 accounts",
	}
	examples := fence.FindAllStringSubmatch(string(readme), -1)
	equal(t, len(examples), strings.Count(string(readme), "```go"))
	equal(t, len(examples), len(says))
	for number, example := range examples {
		heading, code := example[1], example[2]
		if !strings.HasPrefix(code, "package main") {
			code = inMain(code)
		}
		main := filepath.Join(folder, fmt.Sprintf("example%d.go", number))
		check(t, os.WriteFile(main, []byte(code), 0o600))
		formatted, err := exec.Command("gofmt", "-l", main).CombinedOutput()
		check(t, err)
		equal(t, string(formatted), "")
		program := strings.TrimSuffix(main, ".go")
		// With this module's dependencies, wherever the file is.
		built, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, main).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", heading, err, built)
		}
		run := exec.Command(program)
		run.Dir = folder
		run.Env = append(os.Environ(), "SLUICE_SERVER="+s.url, "SLUICE_API_KEY="+s.secret("api-key"),
			"EMAIL=ada@example.com", "PASSWORD=a long passphrase")
		said, err := run.CombinedOutput()
		if err != nil || !strings.Contains(string(said), says[heading]) {
			t.Fatalf("%s: %v\n%s", heading, err, said)
		}
	}
	copied, err := os.ReadFile(filepath.Join(folder, "copy.mp4"))
	check(t, err)
	equal(t, string(copied) == string(random(9*mib)), true)
	if lines := strings.Count(examples[0][2], "\n"); lines > 10 {
		t.Fatalf("the first example has %d lines", lines)
	}
}

// inMain is the program that the README says is around its shortest example.
func inMain(code string) string {
	imports := "\t\"context\"\n\t\"fmt\"\n\t\"log\"\n\t\"os\"\n\n\tsluice \"github.com/sluice-dev/sluice/sdk-gen/go\"\n"
	body := "\t" + strings.ReplaceAll(strings.TrimSuffix(code, "\n"), "\n", "\n\t") + "\n"
	return "package main\n\nimport (\n" + imports + ")\n\nfunc main() {\n" + body + "}\n"
}
