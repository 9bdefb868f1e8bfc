package cloud

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/goldline-dev/goldline/internal/tags"
)

// Tags is a tag set as EC2 takes it, in the order of keys.
func Tags(set map[string]string) []types.Tag {
	list := make([]types.Tag, 0, len(set))
	for _, k := range tags.Keys(set) {
		list = append(list, types.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	return list
}

// TagSet is a tag set as EC2 gives it.
func TagSet(list []types.Tag) map[string]string {
	set := make(map[string]string, len(list))
	for _, t := range list {
		set[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return set
}

// TagSpec gives something its tags in the call that makes it.
func TagSpec(of types.ResourceType, set map[string]string) types.TagSpecification {
	return types.TagSpecification{ResourceType: of, Tags: Tags(set)}
}
