package project

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// PostProcessor is something that is done with a build once it is there.
type PostProcessor struct {
	Provisioner // its type, options and whom it is for
	// Keep is keep_input_artifact, nil where it is not given.
	Keep *bool
}

// postKeys are the keys of a recipe that hold its post-processors.
var postKeys = []string{"post-processors", "post_processors"}

// postProcessors decodes what follows a build of this image: chains, of which
// each begins with the build. An item that is no list is a chain of one; a text is a
// type without options.
func (p *Project) postProcessors(d *decoder, r *recipe) [][]*PostProcessor {
	if r.after == nil {
		return nil
	}
	n := follow(r.after)
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, "a list")
		return nil
	}
	var chains [][]*PostProcessor
	for i, c := range n.Content {
		links := []*yaml.Node{c}
		if c = follow(c); c.Kind == yaml.SequenceNode {
			links = c.Content
		}
		var chain []*PostProcessor
		for j, link := range links {
			at := fmt.Sprintf("post-processors[%d][%d]", i, j)
			if step := p.postProcessor(d, r, follow(link)); step != nil && step.isFor(r.name) {
				for path, pos := range step.positions {
					d.positions[at+"."+path] = pos
				}
				chain = append(chain, step)
			}
		}
		if len(chain) > 0 {
			chains = append(chains, chain)
		}
	}
	return chains
}

func (p *Project) postProcessor(d *decoder, r *recipe, n *yaml.Node) *PostProcessor {
	if n.Kind == yaml.ScalarNode {
		typed := *n
		n = &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column, HeadComment: n.HeadComment, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Value: "type", Line: n.Line, Column: n.Column, HeadComment: n.HeadComment}, &typed,
		}}
	}
	if n.Kind != yaml.MappingNode {
		d.mismatch(n, "a mapping, or the type alone")
		return nil
	}
	entries := d.entries(n)
	own, shared := split(entries, []string{"keep_input_artifact", "name"})
	step := p.step(d, r, n, own, p.vocabulary.PostProcessors, "post-processor")
	if step == nil {
		return nil
	}
	post := &PostProcessor{Provisioner: *step}
	for _, e := range shared {
		if value := follow(e.value); follow(e.key).Value == "keep_input_artifact" && value.Kind == yaml.ScalarNode {
			keep := value.Value != "false" && value.Value != "0"
			post.Keep = &keep
			post.positions["keep_input_artifact"] = d.src.at(value)
		}
	}
	return post
}
