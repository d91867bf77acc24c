package main

import (
	"context"
	"encoding/json"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// openAI does not resume by itself, and knows no ids: the same request with the same `Idempotency-Key` brings the whole
// stream again, of which what is known already is skipped.
func openAI(job Job) string {
	client := openai.NewClient(option.WithBaseURL(job.Base+"/v1"), option.WithAPIKey("none"))
	ctx, leave := context.WithCancel(context.Background())
	received := &Received{job: job, leave: leave}
	var params openai.ChatCompletionNewParams
	if err := json.Unmarshal(job.Body, &params); err != nil {
		panic(err)
	}
	for received.reason == "" {
		again := option.WithHeader("Idempotency-Key", job.Key)
		stream := client.Chat.Completions.NewStreaming(ctx, params, again)
		text := ""
		for stream.Next() {
			choices := stream.Current().Choices
			if len(choices) == 0 {
				report("empty", nil)
				continue
			}
			text += choices[0].Delta.Content
			received.restartWith(text)
			if received.reason == "" {
				received.reason = choices[0].FinishReason
			}
		}
		if err := stream.Err(); err != nil && received.reason == "" {
			reportError(err)
		}
	}
	return received.reason
}
