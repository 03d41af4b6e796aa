// Driver does what one command of the conformance tests says, with the SDK and
// nothing else.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"

	sluice "github.com/sluice-dev/sluice/sdk-gen/go"
	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

type command struct {
	Verb           string            `json:"verb"`
	Server         string            `json:"server"`
	APIKey         string            `json:"api_key"`
	Tokens         *tokens           `json:"tokens"`
	GiveUpAfterMS  *int64            `json:"give_up_after_ms"`
	Path           string            `json:"path"`
	Stream         bool              `json:"stream"`
	Name           *string           `json:"name"`
	UploadID       string            `json:"upload_id"`
	FileID         string            `json:"file_id"`
	PartSize       *int64            `json:"part_size"`
	Concurrency    *int              `json:"concurrency"`
	ContentType    string            `json:"content_type"`
	Metadata       map[string]string `json:"metadata"`
	OnConflict     string            `json:"on_conflict"`
	RequestID      string            `json:"request_id"`
	ExpectedSHA256 string            `json:"expected_sha256"`
	CancelAfter    *int64            `json:"cancel_after"`
	NamePrefix     string            `json:"name_prefix"`
	TTLSeconds     int64             `json:"ttl_seconds"`
	Until          string            `json:"until"`
	Scopes         []string          `json:"scopes"`
}

type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

type object map[string]any

func main() {
	if len(os.Args) != 2 {
		misunderstood(errors.New("usage: driver COMMAND"))
	}
	var c command
	decoder := json.NewDecoder(strings.NewReader(os.Args[1]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		misunderstood(err)
	}
	if !slices.Contains(verbs, c.Verb) {
		misunderstood(fmt.Errorf("no verb %q", c.Verb))
	}
	done, err := c.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		say(told(err))
		return
	}
	done["event"] = "done"
	say(done)
}

var verbs = []string{
	"upload", "resume", "download", "list", "get", "delete", "sign", "watch", "account", "create_key",
}

func (c *command) run(ctx context.Context) (object, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	switch c.Verb {
	case "upload", "resume":
		return c.upload(ctx, client)
	case "download":
		began := time.Now()
		downloaded, err := client.Download(ctx, c.FileID, c.Path)
		if err != nil {
			return nil, err
		}
		return object{"bytes": downloaded.File.GetSize(), "seconds": time.Since(began).Seconds()}, nil
	case "list":
		names := []string{}
		for file, err := range client.List(ctx, sluice.WithPrefix(c.NamePrefix)) {
			if err != nil {
				return nil, err
			}
			names = append(names, file.GetName())
		}
		return object{"names": names}, nil
	case "get":
		file, err := client.Get(ctx, c.FileID)
		return object{"file": described(file)}, err
	case "delete":
		return object{}, client.Delete(ctx, c.FileID)
	case "sign":
		url, err := client.Sign(ctx, c.FileID, time.Duration(c.TTLSeconds)*time.Second)
		return object{"url": url}, err
	case "watch":
		for event, err := range client.Watch(ctx) {
			if err != nil {
				return nil, err
			}
			if event.File.GetName() == c.Until && event.File.GetState() == sluicev1.File_STATE_READY {
				return object{"file": described(event.File)}, nil
			}
		}
		return nil, errors.New("the watch ended by itself")
	case "account":
		account, err := client.Account(ctx)
		return object{"account": object{"id": account.GetId()}}, err
	case "create_key":
		return c.createKey(ctx, client)
	}
	return nil, errors.New("unreachable: " + c.Verb)
}

func (c *command) client() (*sluice.Client, error) {
	var options []sluice.ClientOption
	if c.APIKey != "" {
		options = append(options, sluice.WithAPIKey(c.APIKey))
	}
	if c.Tokens != nil {
		options = append(options, sluice.WithSession(&sluice.Tokens{
			AccessToken: c.Tokens.AccessToken, RefreshToken: c.Tokens.RefreshToken,
		}, nil))
	}
	if c.GiveUpAfterMS != nil {
		options = append(options, sluice.WithGiveUpAfter(time.Duration(*c.GiveUpAfterMS)*time.Millisecond))
	}
	return sluice.NewClient(c.Server, options...)
}

func (c *command) upload(ctx context.Context, client *sluice.Client) (object, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	uploadID := ""
	options := []sluice.UploadOption{
		sluice.WithProgress(func(p sluice.Progress) {
			uploadID = p.UploadID
			if uploadID != "" {
				line := object{"event": "progress", "upload_id": uploadID, "persisted": p.Persisted, "total": nil}
				if p.Total >= 0 {
					line["total"] = p.Total
				}
				say(line)
			}
			if c.CancelAfter != nil && p.Persisted >= *c.CancelAfter {
				cancel()
			}
		}),
		sluice.WithContentType(c.ContentType), sluice.WithMetadata(c.Metadata), sluice.WithRequestID(c.RequestID),
	}
	if c.Name != nil {
		options = append(options, sluice.WithName(*c.Name))
	}
	if c.PartSize != nil {
		options = append(options, sluice.WithPartSize(*c.PartSize))
	}
	if c.Concurrency != nil {
		options = append(options, sluice.WithConcurrency(*c.Concurrency))
	}
	switch c.OnConflict {
	case "", "fail":
	case "replace":
		options = append(options, sluice.WithReplace())
	default:
		misunderstood(fmt.Errorf("no on_conflict %q", c.OnConflict))
	}
	if c.ExpectedSHA256 != "" {
		digest, err := hex.DecodeString(c.ExpectedSHA256)
		if err != nil || len(digest) != 32 {
			misunderstood(errors.New("expected_sha256 is no digest"))
		}
		options = append(options, sluice.WithExpectedSHA256([32]byte(digest)))
	}

	source := sluice.Path(c.Path)
	if c.Stream {
		file, err := os.Open(c.Path)
		if err != nil {
			return nil, &sluice.Error{Kind: sluice.KindLocal, Message: err.Error()}
		}
		defer file.Close()
		// Nothing but an io.Reader.
		source = sluice.Reader(struct{ *reader }{&reader{file}})
	}
	var uploaded *sluice.Uploaded
	var err error
	if c.Verb == "resume" {
		uploaded, err = client.Resume(ctx, c.UploadID, source, options...)
	} else {
		uploaded, err = client.Upload(ctx, source, options...)
	}
	if err != nil {
		return nil, err
	}
	done := object{
		"file": described(uploaded.File), "upload_id": nil, "sent": uploaded.Sent, "resumed": uploaded.Resumed,
		"seconds": uploaded.Elapsed.Seconds(),
	}
	if uploadID != "" {
		done["upload_id"] = uploadID
	}
	return done, nil
}

type reader struct{ file *os.File }

func (r *reader) Read(buffer []byte) (int, error) { return r.file.Read(buffer) }

func (c *command) createKey(ctx context.Context, client *sluice.Client) (object, error) {
	var scopes []sluicev1.Scope
	for _, name := range c.Scopes {
		value, known := sluicev1.Scope_value["SCOPE_"+strings.ToUpper(strings.ReplaceAll(name, ":", "_"))]
		if !known {
			misunderstood(fmt.Errorf("no scope %q", name))
		}
		scopes = append(scopes, sluicev1.Scope(value))
	}
	name := ""
	if c.Name != nil {
		name = *c.Name
	}
	made, err := client.CreateAPIKey(ctx, name, 0, scopes...)
	return object{"key_id": made.GetApiKey().GetId(), "secret": made.GetSecret()}, err
}

func described(file *sluice.File) object {
	return object{"id": file.GetId(), "name": file.GetName(), "size": file.GetSize()}
}

func told(err error) object {
	line := object{
		"event": "error", "kind": "local", "code": nil, "reason": nil, "fields": []string{}, "retry_after_ms": nil,
		"upload_id": nil, "transient": false,
	}
	var failure *sluice.Error
	if !errors.As(err, &failure) {
		return line
	}
	line["kind"] = failure.Kind
	line["transient"] = failure.Transient()
	if failure.Code != codes.OK {
		line["code"] = code.Code(failure.Code).String()
	}
	if failure.Reason != "" {
		line["reason"] = failure.Reason
	}
	fields := []string{}
	for _, violation := range failure.Violations {
		fields = append(fields, violation.Field)
	}
	line["fields"] = fields
	if failure.RetryAfter > 0 {
		line["retry_after_ms"] = failure.RetryAfter.Milliseconds()
	}
	if failure.UploadID != "" {
		line["upload_id"] = failure.UploadID
	}
	return line
}

func say(line object) {
	encoded, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(encoded))
}

func misunderstood(err error) {
	fmt.Fprintln(os.Stderr, "driver:", err)
	os.Exit(2)
}
