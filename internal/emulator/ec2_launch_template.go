package emulator

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// templateRow is a launch template with its versions, which never change.
type templateRow struct {
	ID, Name string
	Token    string
	Created  time.Time
	Creator  string
	Default  int64
	Latest   int64 // also when that version is deleted: numbers are not used twice
	Versions []templateVersion
}

func (r templateRow) id() string { return r.ID }

type templateVersion struct {
	Number  int64
	Created time.Time
	Creator string
	Text    *string
	Data    types.RequestLaunchTemplateData
}

// templateData are the parts of a launch template that launches carry out.
const templateData = " LaunchTemplateData.ImageId LaunchTemplateData.InstanceType LaunchTemplateData.KeyName LaunchTemplateData.UserData" +
	" LaunchTemplateData.SecurityGroupIds LaunchTemplateData.SecurityGroups LaunchTemplateData.Placement.AvailabilityZone LaunchTemplateData.Placement.Tenancy" +
	" LaunchTemplateData.Monitoring.* LaunchTemplateData.EbsOptimized LaunchTemplateData.DisableApiTermination LaunchTemplateData.DisableApiStop" +
	" LaunchTemplateData.InstanceInitiatedShutdownBehavior LaunchTemplateData.IamInstanceProfile.* LaunchTemplateData.InstanceMarketOptions.*" +
	" LaunchTemplateData.CreditSpecification.* LaunchTemplateData.TagSpecifications.* LaunchTemplateData.MetadataOptions.*" +
	" LaunchTemplateData.BlockDeviceMappings.* LaunchTemplateData.NetworkInterfaces.DeviceIndex LaunchTemplateData.NetworkInterfaces.SubnetId" +
	" LaunchTemplateData.NetworkInterfaces.Groups LaunchTemplateData.NetworkInterfaces.AssociatePublicIpAddress" +
	" LaunchTemplateData.NetworkInterfaces.PrivateIpAddress LaunchTemplateData.NetworkInterfaces.DeleteOnTermination LaunchTemplateData.NetworkInterfaces.Description"

func (s *ec2Service) addLaunchTemplates() {
	on(s, "CreateLaunchTemplate", "LaunchTemplateName ClientToken VersionDescription TagSpecifications.*"+templateData, s.createLaunchTemplate)
	on(s, "CreateLaunchTemplateVersion", "LaunchTemplateId LaunchTemplateName ClientToken SourceVersion VersionDescription"+templateData, s.createLaunchTemplateVersion)
	on(s, "DescribeLaunchTemplates", "LaunchTemplateIds LaunchTemplateNames Filters.* MaxResults NextToken", s.describeLaunchTemplates)
	on(s, "DescribeLaunchTemplateVersions", "LaunchTemplateId LaunchTemplateName Versions MinVersion MaxVersion Filters.* MaxResults NextToken", s.describeLaunchTemplateVersions)
	on(s, "ModifyLaunchTemplate", "LaunchTemplateId LaunchTemplateName ClientToken DefaultVersion", s.modifyLaunchTemplate)
	on(s, "DeleteLaunchTemplate", "LaunchTemplateId LaunchTemplateName", s.deleteLaunchTemplate)
	on(s, "DeleteLaunchTemplateVersions", "LaunchTemplateId LaunchTemplateName Versions", s.deleteLaunchTemplateVersions)
}

// templateName is the form of names.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html
var templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// template finds a launch template by its ID or its name.
func (s *ec2Service) template(w world, id, name *string) (templateRow, error) {
	switch {
	case deref(id) != "" && deref(name) != "":
		return templateRow{}, refuse("InvalidParameterCombination", "Either the ID or the name of the launch template may be given, not both.")
	case deref(id) != "":
		return need(s.templates, w, templateID, id)
	case deref(name) == "":
		return templateRow{}, refuse("MissingParameter", "Either the launch template ID or launch template name must be specified.")
	}
	for _, row := range s.templates.all(w) {
		if row.Name == *name {
			return row, nil
		}
	}
	return templateRow{}, refuse("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", *name)
}

// version finds a version by its number, $Latest or $Default.
func (r templateRow) version(text string) (templateVersion, error) {
	number := r.Default
	switch text {
	case "", "$Default":
	case "$Latest":
		number = r.newest().Number
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return templateVersion{}, refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version: %s", text)
		}
		number = n
	}
	for _, v := range r.Versions {
		if v.Number == number {
			return v, nil
		}
	}
	return templateVersion{}, refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", text, r.ID)
}

// newest is the latest version that is there; the default one always is.
func (r templateRow) newest() templateVersion { return r.Versions[len(r.Versions)-1] }

func (s *ec2Service) createLaunchTemplate(c apiCall, in *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
	made, done, err := s.replayed(c, "CreateLaunchTemplate", in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		row, _ := s.templates.get(c.w, made[0]) // its token goes with it
		return &ec2.CreateLaunchTemplateOutput{LaunchTemplate: new(s.showTemplate(c, row))}, nil
	}
	tags, err := readBirthTags(in.TagSpecifications, types.ResourceTypeLaunchTemplate)
	if err != nil {
		return nil, err
	}
	name := deref(in.LaunchTemplateName)
	if !templateName.MatchString(name) {
		return nil, refuse("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	if _, err := s.template(c.w, nil, &name); err == nil {
		return nil, refuse("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	if err := s.checkTemplateData(in.LaunchTemplateData); err != nil {
		return nil, err
	}
	row := templateRow{ID: templateID.make(), Name: name, Token: deref(in.ClientToken), Created: c.now, Creator: c.ARN, Default: 1, Latest: 1}
	row.Versions = []templateVersion{{Number: 1, Created: c.now, Creator: c.ARN, Text: in.VersionDescription, Data: *in.LaunchTemplateData}}
	s.templates.put(c.w, row.ID, row)
	if err := s.born(c, templateID, row.ID, tags); err != nil {
		return nil, err
	}
	s.remember(c, "CreateLaunchTemplate", in.ClientToken, in, row.ID)
	return &ec2.CreateLaunchTemplateOutput{LaunchTemplate: new(s.showTemplate(c, row))}, nil
}

// checkTemplateData refuses what no launch could carry out. That an image or a
// group exists is only asked when instances are launched, as by EC2.
func (s *ec2Service) checkTemplateData(data *types.RequestLaunchTemplateData) error {
	if data == nil {
		return refuse("MissingParameter", "The request must contain the parameter LaunchTemplateData")
	}
	if len(data.NetworkInterfaces) > 0 && (len(data.SecurityGroupIds) > 0 || len(data.SecurityGroups) > 0) {
		return refuse("InvalidParameterCombination", "Network interfaces and an instance-level security groups may not be specified on the same request")
	}
	_, err := readUserData(data.UserData)
	return err
}

func (s *ec2Service) createLaunchTemplateVersion(c apiCall, in *ec2.CreateLaunchTemplateVersionInput) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	row, err := s.template(c.w, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	made, done, err := s.replayed(c, "CreateLaunchTemplateVersion "+row.ID, in.ClientToken, in)
	if err != nil {
		return nil, err
	}
	if done {
		v, err := row.version(made[0])
		return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: new(showVersion(row, v))}, err
	}
	if err := s.checkTemplateData(in.LaunchTemplateData); err != nil {
		return nil, err
	}
	data := *in.LaunchTemplateData
	if in.SourceVersion != nil {
		source, err := row.version(*in.SourceVersion)
		if err != nil {
			return nil, err
		}
		data = source.Data
		overlay(&data, in.LaunchTemplateData)
	}
	row.Latest++
	v := templateVersion{Number: row.Latest, Created: c.now, Creator: c.ARN, Text: in.VersionDescription, Data: data}
	row.Versions = append(slices.Clone(row.Versions), v)
	s.templates.put(c.w, row.ID, row)
	s.remember(c, "CreateLaunchTemplateVersion "+row.ID, in.ClientToken, in, strconv.FormatInt(v.Number, 10))
	return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: new(showVersion(row, v))}, nil
}

func (s *ec2Service) showTemplate(c apiCall, row templateRow) types.LaunchTemplate {
	return types.LaunchTemplate{
		LaunchTemplateId: new(row.ID), LaunchTemplateName: new(row.Name), CreateTime: new(row.Created), CreatedBy: new(row.Creator),
		DefaultVersionNumber: new(row.Default), LatestVersionNumber: new(row.newest().Number), Tags: s.tagList(c.w, row.ID),
	}
}

func showVersion(row templateRow, v templateVersion) types.LaunchTemplateVersion {
	data := &types.ResponseLaunchTemplateData{}
	overlay(data, v.Data)
	return types.LaunchTemplateVersion{
		LaunchTemplateId: new(row.ID), LaunchTemplateName: new(row.Name), VersionNumber: new(v.Number), DefaultVersion: new(v.Number == row.Default),
		CreateTime: new(v.Created), CreatedBy: new(v.Creator), VersionDescription: v.Text, LaunchTemplateData: data,
	}
}

// overlay sets in into what from states. The SDK has a type of its own for the
// same fields in requests, in answers and in launches, with the same names; so
// they go over as JSON, in which what is nil is left out first.
func overlay(into, from any) {
	text, err := json.Marshal(from)
	fields := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	for name, value := range fields {
		if string(value) == "null" || string(value) == `""` {
			delete(fields, name)
		}
	}
	if err == nil {
		text, err = json.Marshal(fields)
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		panic("emulator: launch template data does not go over: " + err.Error()) // a bug in this package
	}
}

func (s *ec2Service) describeLaunchTemplates(c apiCall, in *ec2.DescribeLaunchTemplatesInput) (*ec2.DescribeLaunchTemplatesOutput, error) {
	rows, err := needAll(s, s.templates, c.w, templateID, in.LaunchTemplateIds)
	if err != nil {
		return nil, err
	}
	for _, name := range in.LaunchTemplateNames {
		if _, err := s.template(c.w, nil, &name); err != nil {
			return nil, err
		}
	}
	if len(in.LaunchTemplateNames) > 0 {
		rows = keep(rows, func(r templateRow) bool { return slices.Contains(in.LaunchTemplateNames, r.Name) })
	}
	rows, err = choose(s, c.w, rows, templateRow.id, filters[templateRow]{
		"launch-template-name": func(r templateRow) []string { return one(r.Name) },
		"create-time":          func(r templateRow) []string { return one(r.Created.UTC().Format("2006-01-02T15:04:05Z")) },
	}, in.Filters)
	if err != nil {
		return nil, err
	}
	rows, next, err := page(rows, templateRow.id, paging{in.MaxResults, in.NextToken, 1, 200})
	out := &ec2.DescribeLaunchTemplatesOutput{NextToken: next}
	for _, row := range rows {
		out.LaunchTemplates = append(out.LaunchTemplates, s.showTemplate(c, row))
	}
	return out, err
}

func (s *ec2Service) modifyLaunchTemplate(c apiCall, in *ec2.ModifyLaunchTemplateInput) (*ec2.ModifyLaunchTemplateOutput, error) {
	row, err := s.template(c.w, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if err := require("SetDefaultVersion", in.DefaultVersion); err != nil {
		return nil, err
	}
	v, err := row.version(*in.DefaultVersion)
	if err != nil {
		return nil, err
	}
	row.Default = v.Number
	s.templates.put(c.w, row.ID, row)
	return &ec2.ModifyLaunchTemplateOutput{LaunchTemplate: new(s.showTemplate(c, row))}, nil
}

func (s *ec2Service) deleteLaunchTemplate(c apiCall, in *ec2.DeleteLaunchTemplateInput) (*ec2.DeleteLaunchTemplateOutput, error) {
	row, err := s.template(c.w, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	shown := s.showTemplate(c, row)
	s.templates.remove(c.w, row.ID)
	s.tokens.remove(c.w, "CreateLaunchTemplate "+row.Token)
	s.gone(c.w, row.ID)
	return &ec2.DeleteLaunchTemplateOutput{LaunchTemplate: &shown}, nil
}
