{{- define "bakeoff.labels" -}}
app.kubernetes.io/name: bakeoff
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bakeoff.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What every pod has beside its container's command; the context is the chart's. */}}
{{- define "bakeoff.pod" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 60
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  # Ownership of many artifacts is not changed again at every start.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: home
    persistentVolumeClaim: {claimName: {{ .Values.existingClaim }}}
  - name: secrets
    secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "bakeoff.container" -}}
image: {{ include "bakeoff.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
{{- range .Values.secretKeys }}
  - {name: {{ . }}_FILE, value: /run/secrets/bakeoff/{{ . }}}
{{- end }}
{{- range $name, $value := .Values.settings }}
  - {name: {{ $name }}, value: {{ ternary (toJson $value) (toString $value) (kindIs "float64" $value) | quote }}}
{{- end }}
volumeMounts:
  - {name: home, mountPath: /var/lib/bakeoff}
  - {name: secrets, mountPath: /run/secrets/bakeoff, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end }}
