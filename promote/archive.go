package promote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/goldline-dev/goldline/internal/cloud"
	"github.com/goldline-dev/goldline/internal/event"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Parameter Store keeps the last 100 versions of a pointer. Those before are kept
// in parameters of their own, page by page, each named by the first version that
// it holds. A page is written once and never changed. Every tenth move writes what
// no page holds yet, from the fiftieth on: a write that goes wrong has four more
// chances before a version is lost.
const (
	archiveEvery = 10
	archiveFrom  = 50
	// longestPage is what a standard parameter holds, in bytes:
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
	longestPage = 4096
)

// archived is one version of a pointer in a page.
type archived struct {
	Pointer int64     `json:"n"`
	AMI     string    `json:"ami"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	note
}

func (a archived) entry(image, environment string) Entry {
	return Entry{
		Image: image, Environment: environment, Pointer: a.Pointer, AMI: a.AMI, Version: a.Version, At: a.At, By: a.By, Run: a.Run, Action: a.Action, Reason: a.Reason,
	}
}

// archive writes what pages do not hold yet of a pointer's history, when its
// version says so. The move is done already, so what goes wrong is only told.
func (p *Promoter) archive(ctx context.Context, in *place, image string, version int64) {
	if version < archiveFrom || version%archiveEvery != 0 {
		return
	}
	if err := p.writePages(ctx, in, image); err != nil {
		event.Scope(p.sink, "", image).Emit(event.Event{Kind: event.Warning, Message: fmt.Sprintf("the history of %s in %s is not archived: %v; Parameter Store keeps its last 100 moves", image, in.env.Name, err)})
	}
}

func (p *Promoter) writePages(ctx context.Context, in *place, image string) error {
	kept, err := in.pages(ctx, image)
	if err != nil {
		return err
	}
	var last int64
	if len(kept) > 0 {
		last = kept[len(kept)-1].Pointer
	}
	versions, err := in.versions(ctx, image)
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(a archived) bool { return a.Pointer <= last })
	for len(versions) > 0 {
		page, n, err := pageOf(versions)
		if err != nil {
			return err
		}
		_, err = in.cloud.SSM.PutParameter(ctx, &ssm.PutParameterInput{
			Name: aws.String(fmt.Sprintf("%s%d", tags.History(in.name, in.env.Name, image), versions[0].Pointer)), Value: aws.String(page),
			Type: types.ParameterTypeString, Overwrite: aws.Bool(false), Tags: p.parameterTags(in, image),
		})
		if err != nil && !cloud.AlreadyExists(err) { // by a call whose answer was lost
			return err
		}
		versions = versions[n:]
	}
	return nil
}

// pageOf fills a page with as many versions as it holds, and says how many.
func pageOf(versions []archived) (string, int, error) {
	page := ""
	for n, v := range versions {
		line, err := json.Marshal(v)
		if err != nil {
			return "", 0, err
		}
		if n > 0 && len(page)+len(line)+1 > longestPage {
			return page, n, nil
		}
		page += string(line) + "\n"
	}
	return page, len(versions), nil
}

// pages reads what pages hold of a pointer's history, the oldest first.
func (l *place) pages(ctx context.Context, image string) ([]archived, error) {
	var all []archived
	path := tags.History(l.name, l.env.Name, image)
	pages := ssm.NewGetParametersByPathPaginator(l.cloud.SSM, &ssm.GetParametersByPathInput{Path: aws.String(strings.TrimSuffix(path, "/"))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the archive below %s: %w", path, err)
		}
		for _, v := range page.Parameters {
			decoder := json.NewDecoder(strings.NewReader(aws.ToString(v.Value)))
			for decoder.More() {
				var a archived
				if err := decoder.Decode(&a); err != nil {
					return nil, fmt.Errorf("read the archive: %s is no page of it: %w", aws.ToString(v.Name), err)
				}
				all = append(all, a)
			}
		}
	}
	slices.SortFunc(all, func(a, b archived) int { return int(a.Pointer - b.Pointer) })
	return slices.CompactFunc(all, func(a, b archived) bool { return a.Pointer == b.Pointer }), nil
}

// versions reads the versions of a pointer that Parameter Store keeps, the oldest
// first. One that never existed has none.
func (l *place) versions(ctx context.Context, image string) ([]archived, error) {
	var all []archived
	pages := ssm.NewGetParameterHistoryPaginator(l.cloud.SSM, &ssm.GetParameterHistoryInput{Name: aws.String(tags.Pointer(l.name, l.env.Name, image))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if cloud.NotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, v := range page.Parameters {
			all = append(all, archived{
				Pointer: v.Version, AMI: aws.ToString(v.Value), At: aws.ToTime(v.LastModifiedDate), By: aws.ToString(v.LastModifiedUser), note: noteOf(aws.ToString(v.Description)),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b archived) int { return int(a.Pointer - b.Pointer) })
	return all, nil
}
