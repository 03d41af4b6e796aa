package sluice

import (
	"context"
	"iter"

	"github.com/sluice-dev/sluice/sdk-gen/go/sluicev1"
)

// GetUpload is one upload with its PersistedRanges, in whatever state.
func (c *Client) GetUpload(ctx context.Context, uploadID string) (*Upload, error) {
	service := sluicev1.NewUploadServiceClient(c.control)
	answer, err := call(ctx, c, service.GetUpload, &sluicev1.GetUploadRequest{UploadId: uploadID})
	return answer.GetUpload(), err
}

// Uploads are the caller's uploads in one of these states, or in any, newest
// first, without their PersistedRanges.
func (c *Client) Uploads(ctx context.Context, states ...sluicev1.Upload_State) iter.Seq2[*Upload, error] {
	service := sluicev1.NewUploadServiceClient(c.control)
	return pages(func(token string) ([]*Upload, string, error) {
		request := &sluicev1.ListUploadsRequest{PageSize: pageSize, PageToken: token, States: states}
		answer, err := call(ctx, c, service.ListUploads, request)
		return answer.GetUploads(), answer.GetNextPageToken(), err
	})
}

// UploadParts are the parts of an upload that are stored, by their number.
func (c *Client) UploadParts(ctx context.Context, uploadID string) iter.Seq2[*sluicev1.UploadPart, error] {
	service := sluicev1.NewUploadServiceClient(c.control)
	return pages(func(token string) ([]*sluicev1.UploadPart, string, error) {
		request := &sluicev1.ListUploadPartsRequest{UploadId: uploadID, PageSize: pageSize, PageToken: token}
		answer, err := call(ctx, c, service.ListUploadParts, request)
		return answer.GetParts(), answer.GetNextPageToken(), err
	})
}

// CancelUpload ends an upload without a file. A repeat is harmless.
func (c *Client) CancelUpload(ctx context.Context, uploadID string) (*Upload, error) {
	service := sluicev1.NewUploadServiceClient(c.control)
	answer, err := call(ctx, c, service.CancelUpload, &sluicev1.CancelUploadRequest{UploadId: uploadID})
	return answer.GetUpload(), err
}
