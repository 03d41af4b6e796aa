package sluice

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// ListOption is a choice about which files are listed, and in which order. The
// fields of the request that none of the functions here sets can be set by one
// of your own.
type ListOption func(*sluicev1.ListFilesRequest)

// ByName lists by name; the newest come first unless set.
func ByName() ListOption {
	return func(request *sluicev1.ListFilesRequest) {
		request.OrderBy = sluicev1.ListFilesRequest_ORDER_BY_NAME
	}
}

// WithPrefix lists only names that begin so, by name.
func WithPrefix(prefix string) ListOption {
	return func(request *sluicev1.ListFilesRequest) {
		request.NamePrefix = prefix
		ByName()(request)
	}
}

// WithStates lists only files in one of these states.
func WithStates(states ...sluicev1.File_State) ListOption {
	return func(request *sluicev1.ListFilesRequest) { request.States = states }
}

// List are the caller's files, page by page.
func (c *Client) List(ctx context.Context, options ...ListOption) iter.Seq2[*File, error] {
	return pages(func(token string) ([]*File, string, error) {
		answer, err := c.listPage(ctx, token, options)
		return answer.GetFiles(), answer.GetNextPageToken(), err
	})
}

// Entry is what a folder has in it: a file, or the name of another folder.
type Entry struct {
	// File is nil for a folder.
	File *File
	// Folder is the beginning of deeper names, with its slash; empty for a file.
	Folder string
}

func (e Entry) name() string {
	if e.File != nil {
		return e.File.GetName()
	}
	return e.Folder
}

// ListFolder are the files and folders directly in a folder such as "2026/", by
// name. The topmost one is "".
func (c *Client) ListFolder(ctx context.Context, folder string) iter.Seq2[Entry, error] {
	fold := func(request *sluicev1.ListFilesRequest) { request.Delimiter = "/" }
	return pages(func(token string) ([]Entry, string, error) {
		answer, err := c.listPage(ctx, token, []ListOption{WithPrefix(folder), fold})
		var entries []Entry
		for _, file := range answer.GetFiles() {
			entries = append(entries, Entry{File: file})
		}
		for _, prefix := range answer.GetPrefixes() {
			entries = append(entries, Entry{Folder: prefix})
		}
		// The page has two lists of one order.
		slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.name(), b.name()) })
		return entries, answer.GetNextPageToken(), err
	})
}

func (c *Client) listPage(ctx context.Context, token string, options []ListOption) (*sluicev1.ListFilesResponse, error) {
	request := &sluicev1.ListFilesRequest{PageSize: pageSize}
	for _, option := range options {
		option(request)
	}
	request.PageToken = token
	return call(ctx, c, sluicev1.NewFileServiceClient(c.control).ListFiles, request)
}

// Get is one file, in whatever state.
func (c *Client) Get(ctx context.Context, fileID string) (*File, error) {
	service := sluicev1.NewFileServiceClient(c.control)
	answer, err := call(ctx, c, service.GetFile, &sluicev1.GetFileRequest{FileId: fileID})
	return answer.GetFile(), err
}

// Find is the file with this name. Fails with ReasonFileNotFound if there is
// none.
func (c *Client) Find(ctx context.Context, name string) (*File, error) {
	// What has the whole name comes before what only begins with it.
	first := func(request *sluicev1.ListFilesRequest) { request.PageSize = 1 }
	for file, err := range c.List(ctx, WithPrefix(name), first) {
		if err != nil {
			return nil, err
		}
		if file.GetName() == name {
			return file, nil
		}
		break
	}
	return nil, &Error{
		Kind: KindServer, Code: codes.NotFound, Reason: ReasonFileNotFound,
		Message: "there is no file with the name " + name,
	}
}

// Change is what Update changes.
type Change struct {
	// Name is another name; nil leaves it.
	Name *string
	// Metadata replaces all labels; nil leaves them.
	Metadata map[string]string
	// IfEtag changes the file only while this is its etag. Empty means in any
	// case.
	IfEtag string
}

// Update renames a file or replaces its metadata.
func (c *Client) Update(ctx context.Context, fileID string, change Change) (*File, error) {
	request := &sluicev1.UpdateFileRequest{
		File: &File{Id: fileID, Metadata: change.Metadata}, UpdateMask: &fieldmaskpb.FieldMask{}, Etag: change.IfEtag,
	}
	if change.Name != nil {
		request.File.Name = *change.Name
		request.UpdateMask.Paths = append(request.UpdateMask.Paths, "name")
	}
	if change.Metadata != nil {
		request.UpdateMask.Paths = append(request.UpdateMask.Paths, "metadata")
	}
	if len(request.UpdateMask.Paths) == 0 {
		return nil, newError(KindUsage, "nothing to change")
	}
	answer, err := call(ctx, c, sluicev1.NewFileServiceClient(c.control).UpdateFile, request)
	return answer.GetFile(), err
}

// Delete deletes a file.
func (c *Client) Delete(ctx context.Context, fileID string) error {
	service := sluicev1.NewFileServiceClient(c.control)
	tried := false
	_, err := call(ctx, c, func(ctx context.Context, request *sluicev1.DeleteFileRequest, options ...grpc.CallOption) (*sluicev1.DeleteFileResponse, error) {
		answer, err := service.DeleteFile(ctx, request, options...)
		if tried && err != nil && errors.Is(failed(ctx, err), ReasonFileNotFound) {
			return answer, nil // Gone by the attempt before, whose answer was lost.
		}
		tried = true
		return answer, err
	}, &sluicev1.DeleteFileRequest{FileId: fileID})
	return err
}

// Sign is a link with which anybody can download a file by plain HTTP for so
// long, at most 7 days. Treat it as a secret.
func (c *Client) Sign(ctx context.Context, fileID string, ttl time.Duration) (string, error) {
	request := &sluicev1.SignDownloadUrlRequest{FileId: fileID, Ttl: durationpb.New(ttl)}
	answer, err := call(ctx, c, sluicev1.NewFileServiceClient(c.control).SignDownloadUrl, request)
	return answer.GetUrl(), err
}
