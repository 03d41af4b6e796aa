package sluice_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

func TestFilesAreListedFoundChangedAndDeleted(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	var wanted []string
	for _, folder := range []string{"a/", "b/", "b/c/"} {
		for number := range 3 {
			name := fmt.Sprint(folder, number)
			_, err := client.Upload(background, sluice.Bytes([]byte(name)), sluice.WithName(name))
			check(t, err)
			wanted = append(wanted, name)
		}
	}
	slices.Sort(wanted)
	pages := 0
	two := func(request *sluicev1.ListFilesRequest) {
		request.PageSize = 2
		pages++
	}
	var names []string
	for file, err := range client.List(background, sluice.ByName(), two) {
		check(t, err)
		names = append(names, file.GetName())
	}
	equal(t, slices.Equal(names, wanted), true)
	equal(t, pages >= 5, true)
	for file, err := range client.List(background, sluice.WithPrefix("b/c/"), sluice.WithStates(sluicev1.File_STATE_READY)) {
		check(t, err)
		equal(t, file.GetName(), "b/c/0")
		break
	}
	var entries []string
	for entry, err := range client.ListFolder(background, "b/") {
		check(t, err)
		entries = append(entries, entry.Folder+entry.File.GetName())
	}
	equal(t, slices.Equal(entries, []string{"b/0", "b/1", "b/2", "b/c/"}), true)

	_, err := client.Find(background, "a")
	equal(t, errors.Is(err, sluice.ReasonFileNotFound), true)
	file, err := client.Find(background, "a/0")
	check(t, err)
	renamed := "d"
	changed, err := client.Update(background, file.GetId(), sluice.Change{Name: &renamed, Metadata: map[string]string{"x": "y"}})
	check(t, err)
	equal(t, changed.GetName()+changed.GetMetadata()["x"], "dy")
	_, err = client.Update(background, file.GetId(), sluice.Change{Name: &renamed, IfEtag: file.GetEtag()})
	equal(t, errors.Is(err, sluice.ReasonEtagMismatch), true)
	check(t, client.Delete(background, file.GetId()))
	equal(t, errors.Is(client.Delete(background, file.GetId()), sluice.ReasonFileNotFound), true)
}

func TestALinkWorksWithPlainHTTP(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	content := random(3 * mib)
	uploaded, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("linked"))
	check(t, err)
	url, err := client.Sign(background, uploaded.File.GetId(), time.Minute)
	check(t, err)
	response, err := http.Get(url)
	check(t, err)
	defer response.Body.Close()
	there, err := io.ReadAll(response.Body)
	check(t, err)
	equal(t, response.StatusCode, http.StatusOK)
	equal(t, bytes.Equal(there, content), true)
}

func TestDownloadsToPathsAndWriters(t *testing.T) {
	t.Parallel()
	client := startServer(t).client()
	content := random(9*mib + 5)
	uploaded, err := client.Upload(background, sluice.Bytes(content), sluice.WithName("d"))
	check(t, err)
	id := uploaded.File.GetId()
	path := filepath.Join(t.TempDir(), "d")
	// What an earlier attempt has left: a beginning, something else, or too much.
	for _, there := range [][]byte{nil, content[:3*mib+1], random(2 * mib), random(len(content) + 1), content} {
		check(t, os.WriteFile(path+".part", there, 0o600))
		downloaded, err := client.Download(background, id, path)
		check(t, err)
		got, err := os.ReadFile(path)
		check(t, err)
		equal(t, bytes.Equal(got, content), true)
		if bytes.HasPrefix(content, there) {
			equal(t, downloaded.Resumed, int64(len(there)))
			equal(t, downloaded.Received, int64(len(content)-len(there)))
		}
		_, err = os.Stat(path + ".part")
		equal(t, errors.Is(err, os.ErrNotExist), true)
	}
	for _, span := range [][2]int{{0, 1}, {mib - 1, 2*mib + 2}, {len(content) - 1, 10}, {len(content), 1}, {len(content) + 7, 1}} {
		var piece bytes.Buffer
		_, err := client.DownloadTo(background, id, &piece, sluice.WithRange(int64(span[0]), int64(span[1])))
		check(t, err)
		start, end := min(span[0], len(content)), min(span[0]+span[1], len(content))
		equal(t, bytes.Equal(piece.Bytes(), content[start:end]), true)
	}
	_, err = client.Download(background, id, path, sluice.WithRange(5, 7))
	check(t, err)
	got, err := os.ReadFile(path)
	check(t, err)
	equal(t, bytes.Equal(got, content[5:12]), true)

	_, err = client.Download(background, id, filepath.Join(path, "no folder"))
	equal(t, errors.Is(err, sluice.KindLocal), true)
	_, err = client.Download(background, "file_0", path)
	equal(t, errors.Is(err, sluice.KindServer), true)
}
